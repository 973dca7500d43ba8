package main

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"k8s.io/kms/pkg/service"
)

// What kube-apiserver takes as a ciphertext (kmsv2/envelope.go, validateEncryptedDEKSource), in bytes.
const maxCiphertext = 1024

// plugin answers out of a keyring.
type plugin struct {
	keys *keyring
}

func (p *plugin) Status(context.Context) (*service.StatusResponse, error) {
	return &service.StatusResponse{Version: "v2", Healthz: "ok", KeyID: p.keys.current().id}, nil
}

func (p *plugin) Encrypt(_ context.Context, _ string, plaintext []byte) (*service.EncryptResponse, error) {
	k := p.keys.current()
	annotations := map[string][]byte{"format.reference.ringfence.test": {1}}
	ciphertext := k.cipher.Seal(nil, nil, plaintext, authenticated(k.id, annotations))
	if len(ciphertext) > maxCiphertext {
		return nil, status.Errorf(codes.InvalidArgument, "%d bytes are too many to wrap", len(plaintext))
	}
	return &service.EncryptResponse{Ciphertext: ciphertext, KeyID: k.id, Annotations: annotations}, nil
}

func (p *plugin) Decrypt(_ context.Context, _ string, req *service.DecryptRequest) ([]byte, error) {
	k, ok := p.keys.find(req.KeyID)
	if !ok {
		return nil, status.Error(codes.FailedPrecondition, "no key has this key id")
	}
	plaintext, err := k.cipher.Open(nil, nil, req.Ciphertext, authenticated(k.id, req.Annotations))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "altered, or not wrapped under this key")
	}
	return plaintext, nil
}

// authenticated is what is bound to a ciphertext, every part of it after its length.
func authenticated(keyID string, annotations map[string][]byte) []byte {
	var data []byte
	put := func(part []byte) {
		data = binary.BigEndian.AppendUint64(data, uint64(len(part)))
		data = append(data, part...)
	}
	put([]byte(keyID))
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		put([]byte(name))
		put(annotations[name])
	}
	return data
}
