//! What the daemon knows of itself beyond its keyring.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

/// What the daemon knows of itself beyond its keyring.
#[derive(Debug)]
pub struct State {
    started_at: SystemTime,
    draining: AtomicBool,
    reload: Mutex<Reload>,
}

/// How the newest reload ended.
#[derive(Debug, Clone)]
pub struct Reload {
    /// When the keyring in use was loaded.
    pub keyring_loaded_at: SystemTime,
    /// Why the newest change of the files was not taken; `None` if it was.
    pub error: Option<String>,
}

impl State {
    /// A daemon that starts now, with a keyring.
    pub fn new() -> Self {
        let now = SystemTime::now();
        Self {
            started_at: now,
            draining: AtomicBool::new(false),
            reload: Mutex::new(Reload {
                keyring_loaded_at: now,
                error: None,
            }),
        }
    }

    /// When the daemon started.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// Whether calls are answered.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }

    /// Says that the end has begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// How the newest reload ended.
    pub fn reload(&self) -> Reload {
        self.lock().clone()
    }

    /// Remembers how a reload ended; a failed one keeps its keyring.
    pub fn reloaded(&self, result: Result<(), String>) {
        let mut reload = self.lock();
        if result.is_ok() {
            reload.keyring_loaded_at = SystemTime::now();
        }
        reload.error = result.err();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Reload> {
        self.reload.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}
