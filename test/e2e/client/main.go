// Command client is the application of the end-to-end tests: it runs in pods and guests whose kernel has mounted a
// share, and uses files as applications do. It knows nothing of NFS. It is static, since the images have no other
// program.
//
//	client write-tree DIR [-files N] [-seed S]   writes a tree of files, directories and links, and prints its checksum
//	client checksum DIR                          reads a tree and prints its checksum
//	client write FILE                            opens a file once and appends numbered records, each synced, until SIGTERM
//	client follow FILE                           opens it once and reads and verifies the records as they come, until SIGTERM
//	client wait [-more N] [-total N] [-timeout D]  until a write or follow in this container has done N records more, or in all
//	client change-listed rename|copy|replace DIR [-files N]  makes files and changes each while one stream lists them
//	client stop                                  sends SIGTERM to it (it is PID 1 of its container)
package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	commands := map[string]func([]string) error{
		"write-tree":    writeTreeCommand,
		"checksum":      checksumCommand,
		"write":         writeCommand,
		"follow":        followCommand,
		"wait":          waitCommand,
		"change-listed": changeListedCommand,
		"stop":          func([]string) error { return syscall.Kill(1, syscall.SIGTERM) },
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: client write-tree|checksum|write|follow|wait|change-listed|stop ...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}
