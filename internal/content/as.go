package content

// Wrapper is implemented by stores that pass calls on to another one, and do not
// care how its objects came there or are read. One that does care has the ability
// itself, or has no Unwrap.
type Wrapper interface {
	// Unwrap returns the store behind.
	Unwrap() Store
}

// As returns an optional ability of a store (Adopter, Local, a fault.Checker), its
// own or that of a store that it wraps; false if there is none.
func As[T any](s Store) (ability T, ok bool) {
	for {
		if ability, ok = s.(T); ok {
			return ability, true
		}
		w, wraps := s.(Wrapper)
		if !wraps {
			return ability, false
		}
		s = w.Unwrap()
	}
}
