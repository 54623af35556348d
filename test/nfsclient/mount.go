package nfsclient

import "github.com/dittofs/dittofs/internal/xdr"

// Procedures of MOUNT version 3.
const (
	ProcMnt     = 1
	ProcDump    = 2
	ProcUmnt    = 3
	ProcUmntAll = 4
	ProcExport  = 5
)

// Mount is MNT: the handle of a share's root, or of a directory below it.
func (c *Client) Mount(dir string) (Handle, error) {
	h, _, err := c.MountFlavors(dir)
	return h, err
}

// MountFlavors is Mount with the credential flavors that the server takes.
func (c *Client) MountFlavors(dir string) (Handle, []uint32, error) {
	var e xdr.Encoder
	e.String(dir)
	res, err := c.Call(ProgramMount, 3, ProcMnt, e.Bytes())
	if err != nil {
		return nil, nil, err
	}
	d := xdr.NewDecoder(res)
	if st := d.Uint32(); st != 0 {
		return nil, nil, Status(st)
	}
	h := getHandle(&d)
	flavors := make([]uint32, d.Count(64, 4))
	for i := range flavors {
		flavors[i] = d.Uint32()
	}
	return h, flavors, d.Err()
}

// Unmount is UMNT.
func (c *Client) Unmount(dir string) error {
	var e xdr.Encoder
	e.String(dir)
	_, err := c.Call(ProgramMount, 3, ProcUmnt, e.Bytes())
	return err
}

// UnmountAll is UMNTALL.
func (c *Client) UnmountAll() error {
	_, err := c.Call(ProgramMount, 3, ProcUmntAll, nil)
	return err
}

// Mounted is one element of DUMP's list.
type Mounted struct{ Client, Dir string }

// Dump is DUMP.
func (c *Client) Dump() ([]Mounted, error) {
	res, err := c.Call(ProgramMount, 3, ProcDump, nil)
	if err != nil {
		return nil, err
	}
	d := xdr.NewDecoder(res)
	var list []Mounted
	for d.Bool() {
		list = append(list, Mounted{d.String(255), d.String(1024)})
	}
	return list, d.Err()
}

// Exported is one element of EXPORT's list.
type Exported struct {
	Dir    string
	Groups []string
}

// Exports is EXPORT.
func (c *Client) Exports() ([]Exported, error) {
	res, err := c.Call(ProgramMount, 3, ProcExport, nil)
	if err != nil {
		return nil, err
	}
	d := xdr.NewDecoder(res)
	var list []Exported
	for d.Bool() {
		x := Exported{Dir: d.String(1024)}
		for d.Bool() {
			x.Groups = append(x.Groups, d.String(255))
		}
		list = append(list, x)
	}
	return list, d.Err()
}
