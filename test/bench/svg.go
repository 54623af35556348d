package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The picture's measures, in pixels.
const (
	svgBar  = 480
	svgLine = 26
	svgTop  = 86
	svgFoot = 60
	svgMost = 6.0 // ratio at the right end; longer bars end in a point
	svgEm   = 8   // of a character, with room to spare
)

// figures is what stands behind a bar.
func (r *Result) figures() string {
	of := ""
	if r.Peer != "" {
		of = " of " + r.Peer
	}
	return fmt.Sprintf("%.2f×%s (goal %s)", r.Ratio.Median, of, r.Goal)
}

// svg draws a bar for each ratio, with a mark where the goal is and a line from the least round to the greatest.
func (r *Report) svg(out io.Writer) error {
	var drawn []*Result
	names, figures := 0, 0
	for _, res := range r.Results {
		if res.Ratio != nil && res.Met != nil && res.bound > 0 {
			drawn = append(drawn, res)
			names, figures = max(names, utf8.RuneCountInString(res.Row)), max(figures, utf8.RuneCountInString(res.figures()))
		}
	}
	left := 20 + svgEm*names
	width, height := left+svgBar+20+svgEm*figures, svgTop+svgLine*len(drawn)+svgFoot
	var b strings.Builder
	text := func(x, y int, more, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d"%s>`, x, y, more)
		_ = xml.EscapeText(&b, []byte(s))
		b.WriteString("</text>\n")
	}
	fmt.Fprintf(&b,
		`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif" font-size="14" fill="#222">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	text(16, 28, ` font-size="18" font-weight="bold"`, "DittoFS beside "+r.Peer)
	text(16, 50, ` fill="#555"`, "median of the ratios of alternating rounds, and their spread; "+
		"the black mark is the goal (≥: at least, ≤: at most); green: met, red: not met")
	scale := func(ratio float64) int { return int(min(ratio, svgMost) / svgMost * svgBar) }
	bottom := svgTop + svgLine*len(drawn)
	for i := range int(svgMost) + 1 {
		x := left + scale(float64(i))
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#ddd"/>`+"\n", x, svgTop-6, x, bottom)
		text(x, svgTop-12, ` text-anchor="middle" font-size="12" fill="#555"`, fmt.Sprintf("%d×", i))
	}
	for i, res := range drawn {
		y := svgTop + svgLine*i
		fill := "#c0392b"
		if *res.Met {
			fill = "#2e8b57"
		}
		text(left-10, y+17, ` text-anchor="end"`, res.Row)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", left, y+4,
			max(scale(res.Ratio.Median), 1), svgLine-8, fill)
		if res.Ratio.Median > svgMost {
			fmt.Fprintf(&b, `<path d="M%d %d l9 %d l-9 %d z" fill="%s"/>`+"\n", left+svgBar, y+4, svgLine/2-4, svgLine/2-4, fill)
		}
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#222"/>`+"\n",
			left+scale(res.Ratio.Min), y+svgLine/2, left+scale(res.Ratio.Max), y+svgLine/2)
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#000" stroke-width="3"/>`+"\n",
			left+scale(res.bound), y+1, left+scale(res.bound), y+svgLine-1)
		text(left+svgBar+12, y+17, "", res.figures())
	}
	for i, line := range []string{r.Machine, fmt.Sprintf("load average before %s, after %s", r.LoadBefore, r.LoadAfter)} {
		text(16, bottom+26+18*i, ` font-size="12" fill="#555"`, line)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(out, b.String())
	return err
}
