// Command etcd is the unchanged etcd 3.4 server, pinned by this module's go.mod.
package main

import "go.etcd.io/etcd/etcdmain"

func main() {
	etcdmain.Main()
}
