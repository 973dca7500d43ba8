//! The process that the module is loaded in: `kms-plugin pkcs11-module`, started by the daemon only.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    path::PathBuf,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::Error,
    session::{Session, SessionState, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

use super::{
    config::{Key, Mechanism, Token},
    wire::{self, Failure, Reply, Request, Version},
};

mod failure;
mod keys;
mod review;
mod seal;
mod token;

use keys::Found;
use seal::Seal;

/// Answers on standard input, a socket, until its other end is closed.
///
/// # Errors
/// Standard input is no such socket, or what comes from it is no request.
pub fn run() -> io::Result<()> {
    // The module may hang where it does not see that the daemon is gone.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Said twice, for modules that say otherwise; a sandbox may forbid this one, and the daemon's limit is ours.
    let _ = setrlimit(Resource::Core, no_core);

    let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream.peer_addr().map_err(|_| {
        io::Error::other("the daemon starts this for itself; `kms-plugin check` tries a module")
    })?;
    let mut module = None;
    while let Some(request) = wire::read(&mut stream)? {
        let reply = answer(&mut module, request).unwrap_or_else(Reply::Failed);
        wire::write(&mut stream, &reply)?;
    }
    if let Some(Module {
        pkcs11, session, ..
    }) = module
    {
        drop(session);
        // The process ends either way.
        let _ = pkcs11.finalize();
    }
    Ok(())
}

/// A loaded module, and its token.
struct Module {
    pkcs11: Pkcs11,
    path: PathBuf,
    slot: Slot,
    serial: String,
    /// Kept, because a token logs out with its last session.
    session: Session,
    key: Key,
    mechanism: Mechanism,
}

fn answer(module: &mut Option<Module>, request: Request) -> Result<Reply, Failure> {
    match (request, module) {
        (
            Request::Open {
                module: path,
                token,
                key,
                mechanism,
            },
            module,
        ) => {
            let loaded = module.insert(Module::load(path, &token, key, mechanism)?);
            loaded.logged_in(&loaded.session)?;
            Ok(Reply::Done)
        }
        (_, None) => Err(Failure::Unreachable("no module is loaded yet".to_owned())),
        (Request::Login { pin }, Some(module)) => module.login(&pin),
        (request, Some(module)) => module.answer(request),
    }
}

impl Module {
    fn load(path: PathBuf, token: &Token, key: Key, mechanism: Mechanism) -> Result<Self, Failure> {
        let failed =
            |error| failure::of(&format!("cannot load the module {}", path.display()), error);
        let pkcs11 = Pkcs11::new(&path).map_err(failed)?;
        pkcs11
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .map_err(failed)?;
        let (slot, serial) = token::find(&pkcs11, token)?;
        let session = pkcs11.open_ro_session(slot).map_err(no_session)?;
        Ok(Self {
            pkcs11,
            path,
            slot,
            serial,
            session,
            key,
            mechanism,
        })
    }

    fn answer(&self, request: Request) -> Result<Reply, Failure> {
        // Each request has a session of its own: what another left behind in it cannot matter.
        let session = self.pkcs11.open_ro_session(self.slot).map_err(no_session)?;
        self.logged_in(&session)?;
        let keys = keys::find(&session, &self.key)?;
        match request {
            Request::Version => {
                let key = keys::current(&keys, &self.key)?;
                Ok(Reply::Version(self.version(key)))
            }
            Request::Wrap { kek, bound } => {
                let key = keys::current(&keys, &self.key)?;
                let seal = self.seal(&session, key)?;
                Ok(Reply::Wrapped {
                    ciphertext: seal.wrap(&kek, &bound)?,
                    version: self.version(key),
                })
            }
            Request::Unwrap {
                id,
                ciphertext,
                bound,
            } => {
                let key = keys::of_id(&keys, &self.key, &id)?;
                let kek =
                    Seal::that_made(&ciphertext, &session, key)?.unwrap(&ciphertext, &bound)?;
                Ok(Reply::Unwrapped { kek })
            }
            Request::Review => {
                let sentences = review::of(self, &session, &keys)?;
                Ok(Reply::Review(sentences))
            }
            Request::Open { .. } | Request::Login { .. } => {
                Err(Failure::Unreachable("asked for out of turn".to_owned()))
            }
        }
    }

    fn logged_in(&self, session: &Session) -> Result<(), Failure> {
        let state = session
            .get_session_info()
            .map_err(no_session)?
            .session_state();
        let logged_out = matches!(state, SessionState::RoPublic | SessionState::RwPublic);
        if logged_out && self.info()?.login_required() {
            return Err(Failure::LoginNeeded);
        }
        Ok(())
    }

    /// Logs in once, unless that could lock the token.
    fn login(&self, pin: &str) -> Result<Reply, Failure> {
        let info = self.info()?;
        if info.user_pin_locked() {
            return Err(Failure::Pin("the token has locked its user PIN".to_owned()));
        }
        if info.user_pin_final_try() {
            return Err(Failure::Unreachable(
                "the token takes one more wrong PIN before it locks, so this try is left to a person: log in by hand, such as with `pkcs11-tool --login --test`".to_owned(),
            ));
        }
        let pin = AuthPin::new(pin.into());
        match self.session.login(UserType::User, Some(&pin)) {
            Ok(()) => Ok(Reply::Done),
            Err(error) => failure::of_login(error).map_or(Ok(Reply::Done), Err),
        }
    }

    fn info(&self) -> Result<TokenInfo, Failure> {
        self.pkcs11
            .get_token_info(self.slot)
            .map_err(|error| failure::of("the token does not say how it is", error))
    }

    /// How to wrap with this key.
    fn seal<'a>(&self, session: &'a Session, key: &Found) -> Result<Seal<'a>, Failure> {
        let able = |mechanism| token::able(&self.pkcs11, self.slot, mechanism);
        Seal::choose(self.mechanism, able, session, key)
    }

    fn version(&self, key: &Found) -> Version {
        Version {
            serial: self.serial.clone(),
            id: key.id.clone(),
        }
    }
}

fn no_session(error: Error) -> Failure {
    failure::of("the token gives no session", error)
}
