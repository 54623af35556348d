package verify

// names is what a client knows of a directory that it alone changes.
type names struct {
	there map[string]bool
	// unsure are the names of an operation without an answer, or with a refusal: either outcome is right, but not half of
	// it.
	unsure map[string]bool
	serial int
}

// verify compares a listing with what must be there, and takes it over.
func (n *names) verify(listing map[string]bool) error {
	for name := range n.there {
		if !listing[name] && !n.unsure[name] {
			return lost("%s was acknowledged and is gone", name)
		}
	}
	for name := range listing {
		if !n.there[name] && !n.unsure[name] {
			return wrong("%s is there, but its removal was acknowledged or it was never made", name)
		}
	}
	if n.renaming() && countOf(listing, n.unsure) != 1 {
		return lost("a rename is half done: of %v the directory has %d", n.unsure, countOf(listing, n.unsure))
	}
	n.there, n.unsure = listing, nil
	return nil
}

func (n *names) renaming() bool { return len(n.unsure) == 2 }

func countOf(listing, of map[string]bool) int {
	count := 0
	for name := range of {
		if listing[name] {
			count++
		}
	}
	return count
}
