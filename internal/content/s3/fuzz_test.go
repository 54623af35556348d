package s3

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func FuzzTotalOf(f *testing.F) {
	for _, text := range []string{"bytes 0-0/1", "bytes 5-9/10", "bytes */7", "bytes 0-0/*", "", "/", "/-1", "bytes 0-0/9223372036854775808"} {
		f.Add(text, int64(1))
	}
	f.Fuzz(func(t *testing.T, text string, length int64) {
		for _, out := range []*s3.GetObjectOutput{{ContentRange: &text}, {ContentLength: aws.Int64(length)}, {}} {
			if total, err := totalOf(out); total < 0 || err != nil && total != 0 {
				t.Errorf("%d, %v", total, err)
			}
		}
	})
}
