package main

import "slices"

// part is a group of rows that share servers. It is run if one of its rows is wanted.
type part struct {
	rows []string
	run  func(o *options, dir string) ([]*Result, error)
}

func parts() []part {
	var compared []string
	for _, r := range rows {
		compared = append(compared, r.name)
	}
	return []part{
		{compared, beside},
		{[]string{rowLibnfsWrite, rowLibnfsRead}, libnfs},
		{[]string{rowKernel}, kernel},
		{[]string{rowTailGetattr, rowTailWrite}, tails},
		{[]string{rowCompacting}, compacting},
		{[]string{rowConnGetattr, rowConnWrite}, connections},
		{[]string{rowIdle, rowFlat, rowMemory, rowStart}, manyFiles},
		{[]string{rowPostgresCreate, rowPostgresLookup}, databases},
	}
}

// measureAll runs the parts that are wanted.
func measureAll(o *options, dir string) (results []*Result, err error) {
	for _, p := range parts() {
		if !slices.ContainsFunc(p.rows, o.only.MatchString) {
			continue
		}
		some, err := p.run(o, dir)
		if err != nil {
			return nil, err
		}
		results = append(results, some...)
	}
	return results, nil
}
