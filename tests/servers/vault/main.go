// Command vault is a Vault server with what the tests need of it: the transit engine, and the logins by token, AppRole,
// JWT and certificate. It initialises itself at its first start, with one unseal key, and unseals itself at every start.
//
// The folder of its data holds its storage and two files for the tests, root-token and unseal-key.
package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

func main() {
	listen := flag.String("listen", "", "host:port")
	data := flag.String("data", "", "folder of the data")
	certFile := flag.String("cert", "", "certificate, in PEM; TLS is off without it")
	keyFile := flag.String("key", "", "its key")
	sealed := flag.Bool("sealed", false, "stay sealed after the start")
	flag.Parse()

	if err := run(*listen, *data, *certFile, *keyFile, *sealed); err != nil {
		log.Fatal(err)
	}
}

func run(listen, data, certFile, keyFile string, sealed bool) error {
	core, err := open(data)
	if err != nil {
		return err
	}
	key, err := initialise(core, data)
	if err != nil {
		return fmt.Errorf("initialising: %w", err)
	}
	if !sealed {
		if _, err := core.Unseal(key); err != nil {
			return fmt.Errorf("unsealing: %w", err)
		}
	}

	listener, err := listener(listen, certFile, keyFile)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core: core,
			ListenerConfig: &configutil.Listener{
				MaxRequestSize:     vaulthttp.DefaultMaxRequestSize,
				MaxRequestDuration: 90 * time.Second,
			},
		}),
	}
	return server.Serve(listener)
}

func open(data string) (*vault.Core, error) {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	storage, err := file.NewTransactionalFileBackend(map[string]string{"path": filepath.Join(data, "storage")}, logger)
	if err != nil {
		return nil, err
	}
	return vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		Logger:             logger,
		DisableMlock:       true,
		BuiltinRegistry:    builtins{},
		LogicalBackends:    engines,
		CredentialBackends: logins,
	})
}

// initialise makes the keys of an empty storage, and answers the one that unseals it.
func initialise(core *vault.Core, data string) ([]byte, error) {
	keyPath := filepath.Join(data, "unseal-key")
	text, err := os.ReadFile(keyPath)
	if err == nil {
		return hex.DecodeString(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	made, err := core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{},
	})
	if err != nil {
		return nil, err
	}
	key := made.SecretShares[0]
	if err := os.WriteFile(filepath.Join(data, "root-token"), []byte(made.RootToken), 0o600); err != nil {
		return nil, err
	}
	return key, os.WriteFile(keyPath, []byte(hex.EncodeToString(key)), 0o600)
}

func listener(address, certFile, keyFile string) (net.Listener, error) {
	if certFile == "" {
		return net.Listen("tcp", address)
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", address, &tls.Config{
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{"h2", "http/1.1"},
		// As Vault's own listener: who the client is, the login by certificate decides.
		ClientAuth: tls.RequestClientCert,
	})
}
