# What kms-plugin needs of Vault or OpenBao for the key `prod-eu1` of the engine at `transit`, and no more:
#   vault policy write kms-plugin config/vault/policy.hcl
# Without `create` on encrypt: if the key is ever deleted, no call makes another in its place.
path "transit/encrypt/prod-eu1" {
  capabilities = ["update"]
}

path "transit/decrypt/prod-eu1" {
  capabilities = ["update"]
}

path "transit/keys/prod-eu1" {
  capabilities = ["read"]
}

# The policy `default` grants these too. Tokens of a role with `token_no_default_policy` have them from here.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "sys/capabilities-self" {
  capabilities = ["update"]
}
