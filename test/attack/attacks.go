package main

import (
	"fmt"
	"slices"
)

// attacks are all that are known.
func attacks() []*attack { return append(single(), mixedAttacks()...) }

// single are the attacks of one kind.
func single() []*attack {
	return slices.Concat(
		[]*attack{{name: "nothing", sends: "nothing: the victim alone, to compare with", conns: [2]int{1, 1}, run: nothing}},
		unreadAttacks(),
		slowAttacks(),
		extentAttacks(),
		recordAttacks(),
		connectionAttacks(),
		logAttacks(),
		duplicateAttacks(),
	)
}

// unreadAttacks ask and read nothing, for every procedure whose reply can be larger than its request.
func unreadAttacks() (all []*attack) {
	for _, p := range procedures {
		for _, n := range []int{24, 1500} {
			conns := [2]int{0, n}
			if n == 24 && p.small {
				conns[small] = n
			}
			all = append(all, &attack{
				name:  fmt.Sprintf("unread-%s-%d", p.name, n),
				sends: fmt.Sprintf("%s, as many as the server takes, and reads no reply", p.sends),
				conns: conns,
				run:   unread(p),
				stays: p.small,
			})
		}
	}
	return all
}
