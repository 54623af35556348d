package crashdisk

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// cut is what is left of the state without power. The state is used up.
func (s *state) cut(rnd *rand.Rand) image {
	im := s.durable
	s.settle(im, pickNames(rnd, len(s.names)))
	named := map[int]bool{}
	im.reach(func(n int) { named[n] = true })
	all := rnd.IntN(4)
	for _, n := range slices.Sorted(maps.Keys(s.files)) {
		if !named[n] {
			continue
		}
		switch all {
		case 0: // nothing of any file
		case 1:
			keep(im, s.files[n])
		default:
			cutFile(im, s.files[n], rnd)
		}
	}
	return im.clone(func(n int) bool { return named[n] })
}

// pickNames chooses among n changes of names.
func pickNames(rnd *rand.Rand, n int) func(i int) bool {
	switch rnd.IntN(5) {
	case 0:
		return func(int) bool { return false }
	case 1:
		return func(int) bool { return true }
	case 2, 3:
		first := rnd.IntN(n + 1)
		return func(i int) bool { return i < first }
	default:
		return func(int) bool { return rnd.IntN(2) == 0 }
	}
}

func keep(im image, ops []*op) {
	for _, o := range ops {
		im.apply(o)
	}
}

// cutFile applies some of the changes of a file.
func cutFile(im image, ops []*op, rnd *rand.Rand) {
	switch rnd.IntN(6) {
	case 0: // none
	case 1:
		keep(im, ops)
	case 2: // the first ones, and a part of the next
		n := rnd.IntN(len(ops))
		keep(im, ops[:n])
		tear(im, ops[n], rnd, 50)
	case 3: // any, whole
		for _, o := range ops {
			if rnd.IntN(2) == 0 {
				im.apply(o)
			}
		}
	case 4: // most of it, sector by sector
		for _, o := range ops {
			tear(im, o, rnd, 90)
		}
	default:
		for _, o := range ops {
			tear(im, o, rnd, 50)
		}
	}
}

// tear keeps of each sector of a write with a chance of percent, and lets the
// file grow or not. What is no write happens or does not.
func tear(im image, o *op, rnd *rand.Rand, percent int) {
	if o.Kind != Write {
		if rnd.IntN(100) < percent {
			im.apply(o)
		}
		return
	}
	b := im.file(o.node)
	size, end := b.size, o.Off+o.Len
	for at := o.Off; at < end; {
		next := min((at/sectorSize+1)*sectorSize, end)
		if rnd.IntN(100) < percent {
			b.write(o.data[at-o.Off:next-o.Off], at)
		}
		at = next
	}
	if end > size {
		b.truncate([]int64{size, b.size, end}[rnd.IntN(3)])
	}
}
