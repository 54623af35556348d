package config

import "fmt"

// writable warns of a share whose top directory, as the configuration has it made,
// nobody can write. Such a share mounts and refuses every file, for a reason that is
// not where it shows: in the owner and mode of a directory on the server. It is not a
// fault, since clients or "dittofs shares set-root" may have opened the directory, and
// since a share of links to files of its users can be meant so.
func (k *checker) writable(at string, s Share) {
	mode, err := s.Root.FileMode()
	if err != nil || s.ReadOnly || onlyReaders(s.Clients) || s.somebodyWrites(mode) {
		return
	}
	owner := "root"
	if s.Root.UID != 0 {
		owner = fmt.Sprintf("user %d", s.Root.UID)
	}
	squashed := "root is squashed"
	if s.Squash == SquashAll {
		squashed = fmt.Sprintf("everybody is squashed to %d:%d", s.Anonymous.UID, s.Anonymous.GID)
	}
	k.warnings = append(k.warnings, Fault{
		Path: at,
		Message: fmt.Sprintf("%s: the top directory belongs to %s with mode %04o and %s: nobody can write, "+
			"unless it was opened since",
			at, owner, mode, squashed),
		Hint: `set root.mode to "1777" (everybody, as in /tmp), or root.uid and root.gid to who shall write, or squash to none`,
	})
}

func onlyReaders(clients []Client) bool {
	for _, c := range clients {
		if c.Access != AccessReadOnly {
			return false
		}
	}
	return len(clients) > 0
}

// somebodyWrites says whether any user of a client, as whom squash makes it, can
// make a file in the top directory, or can open it with chmod as its owner.
func (s *Share) somebodyWrites(mode uint32) bool {
	group, others := mode&0o030 == 0o030, mode&0o003 == 0o003
	switch s.Squash {
	case SquashNone:
		return true // root of any client
	case SquashAll:
		anonymous := s.Anonymous
		return anonymous.UID == 0 || s.Root.UID == anonymous.UID || others ||
			s.Root.GID == anonymous.GID && group
	}
	return s.Anonymous.UID == 0 || s.Root.UID != 0 || others || s.Root.GID != 0 && group
}
