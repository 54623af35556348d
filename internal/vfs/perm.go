package vfs

// Permission bits of a mode.
const (
	permRead  = 4
	permWrite = 2
	permExec  = 1

	modeSetuid = 0o4000
	modeSetgid = 0o2000
	modeSticky = 0o1000
)

// allowed tells whether the mode gives c all bits of want (rwx). The
// superuser may do everything, except execute a file that nobody may execute.
func (r *record) allowed(c *Cred, want uint32) bool {
	if c.UID == 0 {
		return want&permExec == 0 || r.Type == TypeDirectory || r.Mode&0o111 != 0
	}
	bits := r.Mode
	switch {
	case c.UID == r.UID:
		bits >>= 6
	case c.InGroup(r.GID):
		bits >>= 3
	}
	return bits&want == want
}

// allowedIO is allowed for READ and WRITE of a regular file: the owner passes
// whatever the mode says, because the mode was checked when the client opened
// the file and may have changed since (RFC 1813 section 4.4); and who may
// execute may read, to page the program in.
func (r *record) allowedIO(c *Cred, want uint32) bool {
	if c.UID == r.UID || r.allowed(c, want) {
		return true
	}
	return want == permRead && r.allowed(c, permExec)
}

func (r *record) isOwner(c *Cred) bool { return c.UID == 0 || c.UID == r.UID }

// accessMask returns the subset of mask that c may do.
func (r *record) accessMask(c *Cred, mask AccessMask, readOnly bool) AccessMask {
	var got AccessMask
	if r.allowed(c, permRead) {
		got |= AccessRead
	}
	if r.allowed(c, permWrite) &&
		!(readOnly && (r.Type == TypeRegular || r.Type == TypeDirectory || r.Type == TypeSymlink)) {
		got |= AccessModify | AccessExtend
		if r.Type == TypeDirectory {
			got |= AccessDelete
		}
	}
	if r.allowed(c, permExec) {
		if r.Type == TypeDirectory {
			got |= AccessLookup
		} else {
			got |= AccessExecute
		}
	}
	return got & mask
}

// mayUnlink checks the removal of child's name from dir: write and search
// permission, and in a sticky directory ownership of one of the two.
func mayUnlink(dir, child *record, c *Cred) error {
	if !dir.allowed(c, permWrite|permExec) {
		return EACCES
	}
	if dir.Mode&modeSticky != 0 && c.UID != 0 && c.UID != child.UID && c.UID != dir.UID {
		return EPERM
	}
	return nil
}

// clearPrivilege drops setuid, and setgid of a group-executable file, as a
// write or chown by anybody does to a program (POSIX write, chown).
func (r *record) clearPrivilege() {
	if r.Type == TypeDirectory {
		return
	}
	r.Mode &^= modeSetuid
	if r.Mode&0o010 != 0 {
		r.Mode &^= modeSetgid
	}
}

// checkSet checks that c may make the changes of set to r.
func (r *record) checkSet(c *Cred, set *SetAttr) error {
	if set.UID != nil && *set.UID == NoID || set.GID != nil && *set.GID == NoID {
		return EINVAL
	}
	if set.Mode != nil && !r.isOwner(c) {
		return EPERM
	}
	if set.UID != nil && c.UID != 0 && (*set.UID != r.UID || c.UID != r.UID) {
		return EPERM
	}
	if set.GID != nil && c.UID != 0 && (c.UID != r.UID || (*set.GID != r.GID && !c.InGroup(*set.GID))) {
		return EPERM
	}
	for _, t := range [...]*TimeSet{set.Atime, set.Mtime} {
		if t != nil && !t.Now && t.Time.Nsec >= 1e9 {
			return EINVAL
		}
		if t == nil || r.isOwner(c) {
			continue
		}
		if !t.Now {
			return EPERM
		}
		if !r.allowed(c, permWrite) {
			return EACCES
		}
	}
	if set.Size != nil {
		switch {
		case r.Type == TypeDirectory:
			return EISDIR
		case r.Type != TypeRegular:
			return EINVAL
		case !r.allowedIO(c, permWrite):
			return EACCES
		case *set.Size > MaxFileSize:
			return EFBIG
		}
	}
	return nil
}

// applySet makes the changes of set (size excepted) that checkSet allowed.
func (r *record) applySet(c *Cred, set *SetAttr, now Time) {
	chown := set.UID != nil || set.GID != nil
	if set.UID != nil {
		r.UID = *set.UID
	}
	if set.GID != nil {
		r.GID = *set.GID
	}
	if set.Mode != nil {
		r.Mode = *set.Mode & 0o7777
		if c.UID != 0 && !c.InGroup(r.GID) {
			r.Mode &^= modeSetgid
		}
	}
	if chown && (set.Mode == nil || c.UID != 0) {
		r.clearPrivilege()
	}
	setTime(&r.Atime, set.Atime, now)
	setTime(&r.Mtime, set.Mtime, now)
}

func setTime(t *Time, set *TimeSet, now Time) {
	switch {
	case set == nil:
	case set.Now:
		*t = now
	default:
		*t = set.Time
	}
}
