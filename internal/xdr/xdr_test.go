package xdr_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dittofs/dittofs/internal/xdr"
)

func TestEncodingMatchesTheExamplesOfRFC4506(t *testing.T) {
	var e xdr.Encoder
	e.Uint32(259)
	e.Uint64(1 << 40)
	e.Bool(true)
	e.String("sillyprog")
	e.Opaque([]byte("(quit)"))
	e.Fixed([]byte{1, 2})
	want := []byte{
		0, 0, 1, 3,
		0, 0, 1, 0, 0, 0, 0, 0,
		0, 0, 0, 1,
		0, 0, 0, 9, 's', 'i', 'l', 'l', 'y', 'p', 'r', 'o', 'g', 0, 0, 0,
		0, 0, 0, 6, '(', 'q', 'u', 'i', 't', ')', 0, 0,
		1, 2, 0, 0,
	}
	if !bytes.Equal(e.Bytes(), want) {
		t.Fatalf("encoded % x\nwant    % x", e.Bytes(), want)
	}

	d := xdr.NewDecoder(want)
	if v := d.Uint32(); v != 259 {
		t.Errorf("Uint32 = %d", v)
	}
	if v := d.Uint64(); v != 1<<40 {
		t.Errorf("Uint64 = %d", v)
	}
	if !d.Bool() {
		t.Error("Bool = false")
	}
	if s := d.String(9); s != "sillyprog" {
		t.Errorf("String = %q", s)
	}
	if b := d.Opaque(6); string(b) != "(quit)" {
		t.Errorf("Opaque = %q", b)
	}
	if b := d.Fixed(2); !bytes.Equal(b, []byte{1, 2}) {
		t.Errorf("Fixed = % x", b)
	}
	if d.Err() != nil || len(d.Rest()) != 0 {
		t.Errorf("err %v, %d bytes left", d.Err(), len(d.Rest()))
	}
}

func TestLengthsAreBoundedBeforeTheyAreUsed(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		read func(*xdr.Decoder)
		want error
	}{
		"integer cut short":              {[]byte{0, 0, 1}, func(d *xdr.Decoder) { d.Uint32() }, xdr.ErrShort},
		"hyper cut short":                {make([]byte, 7), func(d *xdr.Decoder) { d.Uint64() }, xdr.ErrShort},
		"opaque above its bound":         {[]byte{0, 0, 0, 65}, func(d *xdr.Decoder) { d.Opaque(64) }, xdr.ErrTooLong},
		"opaque longer than the message": {[]byte{0, 0, 0, 5, 1, 2, 3, 4}, func(d *xdr.Decoder) { d.Opaque(64) }, xdr.ErrShort},
		"opaque without its padding":     {[]byte{0, 0, 0, 5, 1, 2, 3, 4, 5}, func(d *xdr.Decoder) { d.Opaque(64) }, xdr.ErrShort},
		"opaque of 4 GiB":                {[]byte{255, 255, 255, 255}, func(d *xdr.Decoder) { d.Opaque(1<<32 - 1) }, xdr.ErrShort},
		"array above its bound":          {[]byte{0, 0, 0, 17}, func(d *xdr.Decoder) { d.Count(16, 4) }, xdr.ErrTooLong},
		"array longer than the message":  {[]byte{0, 0, 0, 2, 0, 0, 0, 0}, func(d *xdr.Decoder) { d.Count(16, 4) }, xdr.ErrShort},
		"boolean that is neither":        {[]byte{0, 0, 0, 2}, func(d *xdr.Decoder) { d.Bool() }, xdr.ErrInvalid},
		"enumeration outside":            {[]byte{0, 0, 0, 3}, func(d *xdr.Decoder) { d.Enum(2) }, xdr.ErrInvalid},
		"negative fixed length":          {make([]byte, 8), func(d *xdr.Decoder) { d.Fixed(-1) }, xdr.ErrShort},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := xdr.NewDecoder(tc.in)
			tc.read(&d)
			if !errors.Is(d.Err(), tc.want) {
				t.Fatalf("err %v, want %v", d.Err(), tc.want)
			}
			if d.Uint32() != 0 || d.Opaque(8) != nil || d.Count(8, 1) != 0 {
				t.Error("an item was read after the failure")
			}
			if !errors.Is(d.Err(), tc.want) {
				t.Errorf("the first failure was replaced by %v", d.Err())
			}
		})
	}
}

// FuzzDecoder drives the decoder with a script taken from the input itself:
// whatever is read, it stays inside the message and inside the bounds.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5}, []byte{0, 0, 0, 4, 'a', 'b', 'c', 'd', 0, 0, 0, 1})
	f.Add([]byte{3, 3, 3}, []byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script, in []byte) {
		d := xdr.NewDecoder(in)
		for _, step := range script {
			limit := int(step >> 3)
			switch step & 7 {
			case 0:
				d.Uint32()
			case 1:
				d.Uint64()
			case 2:
				d.Bool()
			case 3:
				if n := len(d.Opaque(limit)); n > limit {
					t.Fatalf("opaque of %d bytes, bound %d", n, limit)
				}
			case 4:
				if n := len(d.String(limit)); n > limit {
					t.Fatalf("string of %d bytes, bound %d", n, limit)
				}
			case 5:
				if n := d.Count(limit, 4); n > limit || n*4 > len(d.Rest()) {
					t.Fatalf("count %d, bound %d, %d bytes left", n, limit, len(d.Rest()))
				}
			case 6:
				if b := d.Fixed(limit); b != nil && len(b) != limit {
					t.Fatalf("fixed of %d bytes, asked %d", len(b), limit)
				}
			case 7:
				d.Enum(uint32(limit))
			}
			if d.Offset() > len(in) {
				t.Fatalf("offset %d of %d", d.Offset(), len(in))
			}
		}
	})
}

// FuzzOpaqueRoundTrip checks that what is encoded is decoded, whatever it is
// and whatever follows.
func FuzzOpaqueRoundTrip(f *testing.F) {
	f.Add([]byte("abc"), uint32(7))
	f.Fuzz(func(t *testing.T, b []byte, after uint32) {
		var e xdr.Encoder
		e.Opaque(b)
		if e.Len() != xdr.OpaqueSize(len(b)) {
			t.Fatalf("encoded %d bytes, OpaqueSize says %d", e.Len(), xdr.OpaqueSize(len(b)))
		}
		e.Uint32(after)
		d := xdr.NewDecoder(e.Bytes())
		if got := d.Opaque(len(b)); !bytes.Equal(got, b) {
			t.Fatalf("decoded % x, want % x", got, b)
		}
		if got := d.Uint32(); got != after || d.Err() != nil {
			t.Fatalf("then %d, %v", got, d.Err())
		}
	})
}
