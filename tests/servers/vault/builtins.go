package main

import (
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

var engines = map[string]logical.Factory{"transit": transit.Factory}

var logins = map[string]logical.Factory{
	"approle": approle.Factory,
	"cert":    cert.Factory,
	"jwt":     jwt.Factory,
}

// builtins is Vault's list of what it need not load from files.
type builtins struct{}

func kind(of consts.PluginType) map[string]logical.Factory {
	switch of {
	case consts.PluginTypeSecrets:
		return engines
	case consts.PluginTypeCredential:
		return logins
	}
	return nil
}

func (builtins) Contains(name string, of consts.PluginType) bool {
	_, is := kind(of)[name]
	return is
}

func (builtins) Get(name string, of consts.PluginType) (func() (interface{}, error), bool) {
	factory, is := kind(of)[name]
	return func() (interface{}, error) { return factory, nil }, is
}

func (builtins) Keys(of consts.PluginType) []string {
	var names []string
	for name := range kind(of) {
		names = append(names, name)
	}
	return names
}

func (builtins) DeprecationStatus(name string, of consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, builtins{}.Contains(name, of)
}

func (builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool {
	return false
}
