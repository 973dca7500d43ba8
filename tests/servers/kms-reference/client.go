package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	kmsapi "k8s.io/kms/apis/v2"
)

// load asks a plugin to decrypt what it has just encrypted, so often and with so many calls in flight, on one
// connection as kube-apiserver has it, and prints how long that took.
func load(socket string, calls, inFlight int) error {
	// As the apiserver dials since 1.32 (k8s.io/apiserver, envelope/kmsv2/grpc_service.go).
	connection, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := kmsapi.NewKeyManagementServiceClient(connection)
	ctx := context.Background()
	seed := []byte("a DEK seed of exactly 32 bytes..")
	wrapped, err := client.Encrypt(ctx, &kmsapi.EncryptRequest{Plaintext: seed, Uid: "load"})
	if err != nil {
		return err
	}
	request := &kmsapi.DecryptRequest{
		Ciphertext: wrapped.Ciphertext, KeyId: wrapped.KeyId, Annotations: wrapped.Annotations, Uid: "load",
	}

	took := make([]time.Duration, calls)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	start := time.Now()
	for range inFlight {
		workers.Go(func() {
			for {
				call := int(next.Add(1)) - 1
				if call >= calls || failed.Load() != nil {
					return
				}
				begin := time.Now()
				answer, err := client.Decrypt(ctx, request)
				if err == nil && string(answer.Plaintext) != string(seed) {
					err = fmt.Errorf("another seed came back")
				}
				if err != nil {
					failed.Store(&err)
					return
				}
				took[call] = time.Since(begin)
			}
		})
	}
	workers.Wait()
	elapsed := time.Since(start)
	if err := failed.Load(); err != nil {
		return *err
	}
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"seconds": elapsed.Seconds(),
		"p50":     took[calls/2].Seconds(),
	})
}
