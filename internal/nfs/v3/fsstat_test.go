package v3_test

import "github.com/dittofs/dittofs/test/nfsclient"

func fsstat(e *env) {
	st, err := e.c.FSStat(e.root)
	e.want(err, 0, "FSSTAT")
	if st.Attr == nil || *st.Attr != *e.getattr(e.root) || st.TotalB != 1<<60 || st.FreeB > st.TotalB ||
		st.TotalIno != 1<<40 || st.FreeIno >= st.TotalIno || st.Invarsec != 0 {
		e.Errorf("FSSTAT: %+v", st)
	}
	const size = 5000
	_, err = e.c.Write(e.create(e.root, "f"), 0, make([]byte, size), nfsclient.FileSync)
	e.want(err, 0, "WRITE")
	want := st
	want.Attr = nil
	want.FreeB, want.AvailB, want.FreeIno, want.AvlIno = st.FreeB-size, st.FreeB-size, st.FreeIno-1, st.FreeIno-1
	now, err := e.c.FSStat(e.root)
	e.want(err, 0, "FSSTAT after a WRITE")
	if now.Attr = nil; now != want {
		e.Errorf("FSSTAT after a file of %d bytes: %+v, want %+v", size, now, want)
	}
}

func fsinfo(e *env) {
	in, err := e.c.FSInfo(e.root)
	e.want(err, 0, "FSINFO")
	if in.Attr == nil || *in.Attr != *e.getattr(e.root) || in.RTMax != 1<<20 || in.RTPref != 1<<20 || in.WTMax != 1<<20 ||
		in.WTPref != 1<<20 ||
		in.RTMult != 4096 || in.WTMult != 4096 || in.DTPref != 64<<10 || in.MaxFileSize != 1<<63-1 ||
		in.TimeDelta != (nfsclient.Time{Nsec: 1}) || in.Properties != 0x1b {
		e.Errorf("FSINFO: %+v", in)
	}
}

func pathconf(e *env) {
	pc, err := e.c.PathConf(e.root)
	e.want(err, 0, "PATHCONF")
	if pc.Attr == nil || *pc.Attr != *e.getattr(e.root) || pc.LinkMax != 1<<20 || pc.NameMax != 255 || !pc.NoTrunc ||
		!pc.ChownRestricted || pc.CaseInsensitive || !pc.CasePreserving {
		e.Errorf("PATHCONF: %+v", pc)
	}
}
