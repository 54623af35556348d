// Command hello is a stand-in for the programs that are packed.
package main

import "fmt"

var version = "unset"

func main() { fmt.Println("hello", version) }
