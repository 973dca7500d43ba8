//! What can be told of the rights without a call that could do harm.

use aws_sdk_kms::types::{KeyManagerType, KeyMetadata, OriginType};

use super::{AwsKms, Call, RootError, failure::Failure, usable, what};

impl AwsKms {
    pub(super) async fn remarks(&self) -> Result<Vec<String>, RootError> {
        let first = self.call(0)?;
        let mut remarks = first.identity().await;
        let replicas = (1..=self.login.config().replicas.len()).map(|index| self.call(index));
        for (index, call) in [Ok(first)].into_iter().chain(replicas).enumerate() {
            match call?.place(&mut remarks).await {
                Ok(()) => {}
                Err(error) if index == 0 => return Err(error),
                Err(error) => remarks.push(format!("a replica is of no use: {}", what(error))),
            }
        }
        Ok(remarks)
    }
}

impl Call<'_> {
    /// Who we are. Every principal may ask.
    async fn identity(&self) -> Vec<String> {
        let identity = match self.session.sts.get_caller_identity().send().await {
            Ok(identity) => identity,
            Err(error) => {
                let failure = Failure::of(&self.doing("sts:GetCallerIdentity"), &error);
                return vec![format!(
                    "who we are cannot be told: {}",
                    what(failure.into())
                )];
            }
        };
        let arn = identity.arn.unwrap_or_default();
        if arn.ends_with(":root") {
            vec![format!(
                "logged in as {arn}, the root user of the account, who may do everything; use a role"
            )]
        } else if arn.contains(":user/") {
            vec![format!(
                "logged in as {arn}, a user with an access key that does not expire; use a role"
            )]
        } else {
            Vec::new()
        }
    }

    /// What is to say of the key in one region.
    async fn place(&self, remarks: &mut Vec<String>) -> Result<(), RootError> {
        let key = match self.describe().await {
            Ok(key) => key,
            Err(RootError::Refused { what }) => {
                return Err(RootError::Refused {
                    what: format!(
                        "{what}; without kms:DescribeKey neither the version of the key nor its state is known, so nothing is served"
                    ),
                });
            }
            Err(error) => return Err(error),
        };
        usable(&key, self.place)?;
        remarks.extend(self.of_key(&key));
        remarks.extend(self.rotation(&key).await);
        self.bare_context(remarks).await
    }

    fn of_key(&self, key: &KeyMetadata) -> Vec<String> {
        let arn = &self.place.key;
        let mut remarks = Vec::new();
        if key.key_manager() == Some(&KeyManagerType::Aws) {
            remarks.push(format!(
                "{arn} is managed by AWS: its policy cannot be changed; use a key of your own"
            ));
        }
        match key.origin() {
            Some(OriginType::External) => remarks.push(format!(
                "{arn} holds imported key material{}; keep the material, for AWS cannot bring it back",
                match key.valid_to() {
                    Some(_) => ", and the material expires: with it everything becomes unreadable",
                    None => "",
                }
            )),
            Some(OriginType::AwsCloudhsm | OriginType::ExternalKeyStore) => remarks.push(format!(
                "{arn} is in a custom key store: it can be reached only while that store is"
            )),
            _ => {}
        }
        let replicas = key.multi_region_configuration().map(|regions| {
            regions
                .primary_key()
                .into_iter()
                .chain(regions.replica_keys())
        });
        let known: Vec<_> = replicas
            .into_iter()
            .flatten()
            .filter_map(|key| key.arn())
            .collect();
        for replica in &self.login.config().replicas {
            if self.index == 0 && !known.contains(&replica.key.as_str()) {
                remarks.push(format!("{} is no replica of {arn}", replica.key));
            }
        }
        remarks
    }

    /// Asking takes `kms:GetKeyRotationStatus`, which nothing else needs; without it nothing is said.
    async fn rotation(&self, key: &KeyMetadata) -> Option<String> {
        if self.index > 0 || key.origin() != Some(&OriginType::AwsKms) {
            return None;
        }
        let ask = self.kms().get_key_rotation_status().key_id(self.key());
        let answer = ask.send().await.ok()?;
        (!answer.key_rotation_enabled()).then(|| {
            format!(
                "AWS does not rotate {} by itself; `aws kms enable-key-rotation` makes it",
                self.place.key
            )
        })
    }

    /// A policy that asks for our encryption context refuses what comes without.
    async fn bare_context(&self, remarks: &mut Vec<String>) -> Result<(), RootError> {
        let mut probe = [0; 32];
        getrandom::fill(&mut probe)
            .map_err(|error| RootError::unreachable(format!("no random bytes: {error}")))?;
        let ciphertext = match self.encrypt(&probe, None).await {
            Ok(ciphertext) => ciphertext,
            Err(RootError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let opens = match self.decrypt(&ciphertext, None).await {
            Ok(_) => true,
            Err(RootError::Refused { .. }) => false,
            Err(error) => return Err(error),
        };
        remarks.push(format!(
            "more is granted than needed: {} of {} without our encryption context is allowed; add the condition of config/aws/iam-policy.json",
            if opens { "kms:Encrypt and kms:Decrypt" } else { "kms:Encrypt" },
            self.place.key
        ));
        Ok(())
    }
}
