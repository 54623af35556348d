package s3

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func FuzzTotalOf(f *testing.F) {
	for _, text := range []string{
		"bytes 0-0/1", "bytes 5-9/10", "bytes */7", "bytes 0-0/*", "", "/", "/-1", "bytes 0-0/9223372036854775808",
	} {
		f.Add(text, int64(1))
	}
	for text, want := range map[string]int64{
		"bytes 0-0/1": 1, "bytes 5-9/10": 10, "bytes */7": 7, "bytes 0-0/9223372036854775807": math.MaxInt64,
	} {
		if got, err := totalOf(&s3.GetObjectOutput{ContentRange: &text}); err != nil || got != want {
			f.Errorf("%q: %d, %v", text, got, err)
		}
	}
	f.Fuzz(func(t *testing.T, text string, length int64) {
		// Digits behind a slash are the total of a range, and without a range the length is; all else is an error.
		_, digits, _ := strings.Cut(text, "/")
		total, err := totalOf(&s3.GetObjectOutput{ContentRange: &text, ContentLength: &length})
		if err == nil && (total < 0 || strings.TrimLeft(strings.TrimPrefix(digits, "+"),
			"0") != strings.TrimLeft(fmt.Sprint(total), "0")) || err != nil && total != 0 {
			t.Errorf("%q: %d, %v", text, total, err)
		}
		if total, err := totalOf(&s3.GetObjectOutput{ContentLength: &length}); (err == nil) != (length >= 0) ||
			total != max(length, 0) {
			t.Errorf("length %d: %d, %v", length, total, err)
		}
		if total, err := totalOf(&s3.GetObjectOutput{}); err == nil {
			t.Errorf("nothing is known, and the total is %d", total)
		}
	})
}
