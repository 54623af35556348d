package meta

import "context"

// Each calls f with every pair of the range, in order, a page of pairs read at a
// time. It ends with the first error, of a read or of f. What f keeps of a pair
// it may keep.
func Each(ctx context.Context, from Reader, r Range, page int, f func(Pair) error) error {
	for {
		pairs, err := from.Scan(ctx, r, page)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			if err := f(p); err != nil {
				return err
			}
		}
		if len(pairs) < page {
			return nil
		}
		if last := pairs[len(pairs)-1].Key; r.Reverse {
			r.End = last
		} else {
			r.Start = append(last, 0)
		}
	}
}
