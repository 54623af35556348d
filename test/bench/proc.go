package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// ticks is how many units of /proc's times a second has; it is 100 on every Linux that Go runs on.
const ticks = 100

// cpuSeconds is the processor time that a process has used, 0 if its id is not known.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticks
}

// rss is the memory of a process in bytes, 0 if it is not known.
func rss(pid int) int64 {
	kib, _ := strconv.ParseInt(field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS"), 10, 64)
	return kib << 10
}

// field is the first word of the value of a key of a file of "key: value" lines.
func field(file, key string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		k, v, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(k) == key && strings.TrimSpace(v) != "" {
			return strings.Fields(v)[0]
		}
	}
	return ""
}

// loadAverage is the machine's load in the last 1, 5 and 15 minutes.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// machine describes where this runs.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	kib, _ := strconv.ParseInt(field("/proc/meminfo", "MemTotal"), 10, 64)
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d × %s, %d GiB, Linux %s, %s", runtime.NumCPU(), model, (kib+1<<19)>>20,
		strings.TrimSpace(string(kernel)), runtime.Version())
}
