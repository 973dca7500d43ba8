package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// key is one version of the KEK.
type key struct {
	id string
	// AES-256-GCM that draws a nonce for every call and puts it before the ciphertext.
	cipher cipher.AEAD
}

// keyring holds all keys of a folder, one a file, the last of them wrapping.
type keyring struct {
	folder string
	mu     sync.RWMutex
	keys   []key
}

func openKeyring(folder string) (*keyring, error) {
	r := &keyring{folder: folder}
	for {
		material, err := os.ReadFile(r.file())
		if os.IsNotExist(err) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := r.add(material); err != nil {
			return nil, err
		}
	}
	if len(r.keys) == 0 {
		return r, r.rotate()
	}
	return r, nil
}

// file is where the next key is.
func (r *keyring) file() string {
	return filepath.Join(r.folder, fmt.Sprintf("%06d.key", len(r.keys)))
}

func (r *keyring) add(material []byte) error {
	block, err := aes.NewCipher(material)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(append([]byte("kms-reference key id "), material...))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key{id: "reference-" + hex.EncodeToString(hash[:16]), cipher: aead})
	return nil
}

// rotate makes a key, keeps it and then wraps with it.
func (r *keyring) rotate() error {
	material := make([]byte, 32)
	rand.Read(material)
	if err := os.WriteFile(r.file(), material, 0o600); err != nil {
		return err
	}
	return r.add(material)
}

func (r *keyring) current() key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[len(r.keys)-1]
}

func (r *keyring) find(id string) (key, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, k := range r.keys {
		if k.id == id {
			return k, true
		}
	}
	return key{}, false
}
