// Command kms-reference is a KMS v2 plugin on Kubernetes' own library, k8s.io/kms/pkg/service, with keys in files.
// It is as honest as it is small: what its sockets and messages do is the library's doing.
//
// SIGHUP makes a new key, SIGTERM shuts the library's server down. With -load it is a client instead.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/kms/pkg/service"
)

func main() {
	socket := flag.String("socket", "", "path of the Unix socket")
	folder := flag.String("keys", "", "folder of the keys; a first one is made")
	calls := flag.Int("load", 0, "do not serve: ask the plugin behind the socket to decrypt, so often")
	inFlight := flag.Int("in-flight", 1, "with -load: how many calls at a time")
	flag.Parse()
	if *calls > 0 {
		if err := load(*socket, *calls, *inFlight); err != nil {
			log.Fatal(err)
		}
		return
	}

	keys, err := openKeyring(*folder)
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM)
	server := service.NewGRPCService(*socket, 10*time.Second, &plugin{keys: keys})
	go func() {
		for sent := range signals {
			if sent == syscall.SIGTERM {
				server.Shutdown()
				return
			}
			if err := keys.rotate(); err != nil {
				log.Print(err)
			}
		}
	}()
	if err := server.ListenAndServe(); err != nil {
		log.Fatal(err)
	}
}
