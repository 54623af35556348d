package main

import (
	"context"
	"errors"
	"strings"
	"sync"
)

// mixture is what several attackers at once do.
var mixture = []string{"unread-read-24", "unread-readdirplus-24", "unread-dump-24", "unread-null-24", "slow-read",
	"slow-readdirplus", "half-closed",
	"unfinished-130", "unfinished-almost-hosts", "fragments", "idle-10000", "admin-idle", "resets", "log-refused",
	"duplicate-credentials"}

func mixedAttacks() []*attack {
	return []*attack{{
		name: "mixed", sends: "all at once: " + strings.Join(mixture, ", "), conns: [2]int{0, 9000}, stays: true,
		run: func(ctx context.Context, a *arena) error {
			var parts []*attack
			for _, part := range single() {
				for _, name := range mixture {
					if part.name == name {
						parts = append(parts, part)
					}
				}
			}
			var wg sync.WaitGroup
			errs := make([]error, len(parts))
			for i, part := range parts {
				at := &arena{server: a.server, files: a.files, crowd: a.crowd, conns: min(part.conns[full], a.conns/len(parts))}
				wg.Go(func() { errs[i] = part.run(ctx, at) })
			}
			wg.Wait()
			return errors.Join(errs...)
		},
	}}
}
