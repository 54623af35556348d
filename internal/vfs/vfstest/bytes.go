package vfstest

import "encoding/binary"

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
