package vfs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"sync"
)

// HandleSize is the length of a file handle in bytes: a version byte, three
// zero bytes, the ID, and its authentication code.
const HandleSize = 4 + idSize + aes.BlockSize

const (
	handleVersion = 1
	idSize        = 16
)

// Handles makes and checks file handles. An ID fills exactly one AES block,
// so its encryption under a secret key is a message authentication code for
// it (CBC-MAC of one fixed-length block). The key lives in the metadata
// store: handles are valid wherever that store is served from, for ever.
type Handles struct{ block cipher.Block }

// NewHandles returns the codec for a key of 16 bytes.
func NewHandles(key []byte) (*Handles, error) {
	if len(key) != 16 {
		return nil, errors.New("handle key must have 16 bytes")
	}
	block, err := aes.NewCipher(key)
	return &Handles{block: block}, err
}

// blocks spares an allocation per call: what is passed through the interface
// of a cipher escapes.
var blocks = sync.Pool{New: func() any { return new([aes.BlockSize]byte) }}

// Append appends the handle of id to dst.
func (h *Handles) Append(dst []byte, id ID) []byte {
	n := len(dst)
	dst = append(dst, (&[HandleSize]byte{handleVersion})[:]...)
	out := dst[n:]
	putID(out[4:], id)
	h.block.Encrypt(out[4+idSize:], out[4:4+idSize])
	return dst
}

// Parse checks a handle and returns its ID, or EBADHANDLE for one that this
// filesystem never gave.
func (h *Handles) Parse(b []byte) (ID, error) {
	if len(b) != HandleSize || b[0] != handleVersion || b[1]|b[2]|b[3] != 0 {
		return ID{}, EBADHANDLE
	}
	want := blocks.Get().(*[aes.BlockSize]byte)
	h.block.Encrypt(want[:], b[4:4+idSize])
	same := subtle.ConstantTimeCompare(want[:], b[4+idSize:])
	blocks.Put(want)
	if same != 1 {
		return ID{}, EBADHANDLE
	}
	return ID{
		Share:      binary.BigEndian.Uint32(b[4:]),
		Inode:      binary.BigEndian.Uint64(b[8:]),
		Generation: binary.BigEndian.Uint32(b[16:]),
	}, nil
}

// PeekInode returns the inode number in a handle that nobody has checked: for a
// hint, not for access. 0 if there is none.
func PeekInode(b []byte) uint64 {
	if len(b) != HandleSize {
		return 0
	}
	return binary.BigEndian.Uint64(b[8:])
}

func putID(b []byte, id ID) {
	binary.BigEndian.PutUint32(b, id.Share)
	binary.BigEndian.PutUint64(b[4:], id.Inode)
	binary.BigEndian.PutUint32(b[12:], id.Generation)
}
