package sunrpc

import (
	"net/netip"
	"testing"
	"time"
)

// Whoever has an IPv6 address has the other 2^64 of its network too.
func TestAddressesOfOneNetworkDoNotPushOutTheRepliesOfOthers(t *testing.T) {
	d := newDRC(DuplicateCache{Entries: 16 * drcShards, Bytes: 1 << 20, Age: time.Hour})
	now := time.Now()
	key := func(addr netip.Addr, xid uint32) drcKey { return drcKey{addr: addr, xid: xid} } // all of one shard
	answer := func(k drcKey) {
		entry, _ := d.start(k, now)
		if entry == nil {
			t.Fatalf("call %d of %v was seen before", k.xid, k.addr)
		}
		d.finish(entry, []byte("reply"), now)
	}
	honest := netip.MustParseAddr("2001:db8::1")
	for xid := range uint32(4) {
		answer(key(honest, xid))
	}
	for i := range 100 {
		answer(key(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb9, 15: byte(i)}), 1))
	}
	for xid := range uint32(4) {
		if entry, reply := d.start(key(honest, xid), now); entry != nil || string(reply) != "reply" {
			t.Errorf("the reply of call %d is forgotten", xid)
		}
	}
}
