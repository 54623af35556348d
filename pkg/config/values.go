package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
)

// Prefix is the CIDR, without the bits after its length. IPv4 is written as
// IPv4: compare with an address that was unmapped (netip.Addr.Unmap).
func (c Client) Prefix() (netip.Prefix, error) {
	p, err := netip.ParsePrefix(c.CIDR)
	if err != nil {
		if addr, err := netip.ParseAddr(c.CIDR); err == nil && addr.Zone() == "" {
			return netip.Prefix{}, fmt.Errorf("%s is not a CIDR; for one address write %s/%d",
				quote(c.CIDR), addr, addr.BitLen())
		}
		return netip.Prefix{}, fmt.Errorf("%s is not a CIDR (example: 10.0.0.0/8)", quote(c.CIDR))
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s is an IPv4 address in IPv6 form; write it as IPv4 (example: 10.0.0.0/8)",
			quote(c.CIDR))
	}
	return p.Masked(), nil
}

var octalMode = regexp.MustCompile(`^[0-7]{3,5}$`)

// FileMode is the mode as a number: permissions, setuid, setgid and sticky bits
// (at most 07777).
func (r Root) FileMode() (uint32, error) {
	mode, err := strconv.ParseUint(r.Mode, 8, 32)
	if err != nil || !octalMode.MatchString(r.Mode) || mode > 0o7777 {
		return 0, fmt.Errorf(`%s is not an octal mode (examples: "0755", "1777")`, quote(r.Mode))
	}
	return uint32(mode), nil
}
