package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The picture's measures, in pixels.
const (
	svgLeft  = 330 // of the names
	svgBar   = 480
	svgRight = 250 // of the figures
	svgLine  = 26
	svgTop   = 86
	svgFoot  = 60
	svgMost  = 6.0 // ratio at the right end; longer bars are cut
)

// svg draws a bar for each ratio, with a mark where the goal is.
func (r *Report) svg(out io.Writer) error {
	var drawn []*Result
	for _, res := range r.Results {
		if res.Ratio != nil && res.bound > 0 {
			drawn = append(drawn, res)
		}
	}
	width, height := svgLeft+svgBar+svgRight, svgTop+svgLine*len(drawn)+svgFoot
	var b strings.Builder
	text := func(x, y int, more, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d"%s>`, x, y, more)
		_ = xml.EscapeText(&b, []byte(s))
		b.WriteString("</text>\n")
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif" font-size="14" fill="#222">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	text(16, 28, ` font-size="18" font-weight="bold"`, "DittoFS beside "+r.Peer)
	text(16, 50, ` fill="#555"`, "ratio of the medians of alternating rounds; the black mark is the goal; green: met, red: not met")
	scale := func(ratio float64) int { return int(min(ratio, svgMost) / svgMost * svgBar) }
	bottom := svgTop + svgLine*len(drawn)
	for i := range int(svgMost) + 1 {
		x := svgLeft + scale(float64(i))
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#ddd"/>`+"\n", x, svgTop-6, x, bottom)
		text(x, svgTop-12, ` text-anchor="middle" font-size="12" fill="#555"`, fmt.Sprintf("%d×", i))
	}
	for i, res := range drawn {
		y := svgTop + svgLine*i
		fill := "#c0392b"
		if *res.Met {
			fill = "#2e8b57"
		}
		text(svgLeft-10, y+17, ` text-anchor="end"`, res.Row)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", svgLeft, y+4, max(scale(res.Ratio.Median), 1), svgLine-8, fill)
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#000" stroke-width="3"/>`+"\n",
			svgLeft+scale(res.bound), y+1, svgLeft+scale(res.bound), y+svgLine-1)
		text(svgLeft+svgBar+12, y+17, "", fmt.Sprintf("%.2f× of %s (goal %s)", res.Ratio.Median, res.Peer, res.Goal))
	}
	for i, line := range []string{r.Machine, fmt.Sprintf("load average before %s, after %s", r.LoadBefore, r.LoadAfter)} {
		text(16, bottom+26+18*i, ` font-size="12" fill="#555"`, line)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}
