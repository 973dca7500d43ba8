//! `make demo`: the main job on real servers, explained step by step.
//!
//! A real etcd and the real plugin with a generated keyring, in a temporary folder that goes away at
//! the end, also after Ctrl-C. With `--wait` everything stays up until Enter is pressed, so that the
//! commands can be typed again.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, stdin},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

mod past;
mod servers;
mod stage;

use servers::{Etcd, Plugin};
use stage::Stage;

const OLD_KEY: &str = "2026-11";
const NEW_KEY: &str = "2027-05";

fn main() -> ExitCode {
    let wait = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--wait" => true,
        _ => {
            eprintln!("usage: demo [--wait]");
            return ExitCode::from(64);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let end = runtime.map_err(Into::into).and_then(|runtime| {
        let end = runtime.block_on(play_until_a_signal(wait));
        // Somebody who waits for Enter is not waited for.
        runtime.shutdown_background();
        end
    });
    match end {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whichever ends first: what was started is stopped when the play is dropped.
async fn play_until_a_signal(wait: bool) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        end = play(wait) => end.map(|()| ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
        _ = terminate.recv() => Ok(ExitCode::from(143)),
        _ = hangup.recv() => Ok(ExitCode::from(129)),
    }
}

async fn play(wait: bool) -> Result<()> {
    let started = Instant::now();
    let mut stage = Stage::new()?;
    let etcd = Etcd::start(&stage).await?;
    stage.set_up(&etcd.endpoint);

    stage.step("The past: Secrets that an apiserver wrote under an aescbc key, and in plain text before that.");
    let written = past::write(&stage, &etcd.endpoint).await?;
    stage.say(&format!(
        "wrote {} Secrets under aescbc key1 and {} in plain text to etcd",
        written.encrypted, written.plain
    ));

    stage.step("A key encryption key (KEK) in a file, and the plugin that wraps with it.");
    stage.run("mkdir -m 0700 keys").await?;
    stage
        .run(&format!("kms-plugin keygen keys/{OLD_KEY}.key"))
        .await?;
    stage.write_plugin_config(&[OLD_KEY])?;
    stage.run("cat config.yaml").await?;
    stage.run("kms-plugin check --config config.yaml").await?;
    let plugin = Plugin::start(&stage).await?;

    stage.step("kube-apiserver's configuration from now on: the plugin writes, what was before stays readable.");
    stage.run("grep -v secret: encryption.yaml").await?;
    stage.run("rewrap config lint encryption.yaml").await?;

    stage.step("Which key protects what? Every value is opened.");
    stage.rewrap("status").await?;

    stage.step("What would it cost to bring everything to the plugin?");
    stage.rewrap("plan").await?;

    stage.step("Do it, one compare-and-swap an object. No apiserver runs here that has to prove it can read it.");
    stage.rewrap("run --assume-converged --yes").await?;

    stage.step("The proof, at one revision of etcd: exit code 0, or a list.");
    stage.rewrap("verify").await?;

    stage.step("Rotate the KEK: the new one goes first, the old one still unwraps. No restart.");
    stage
        .run(&format!("kms-plugin keygen keys/{NEW_KEY}.key"))
        .await?;
    rotate(&stage, &plugin, &[NEW_KEY, OLD_KEY]).await?;

    stage.step("Everything is now under a key that no longer writes. Rewrap again, as fast as etcd takes it.");
    stage.rewrap("status").await?;
    stage.rewrap("run --assume-converged --yes --max").await?;

    stage.step("Nothing is left under the old key. Take it away, and open everything without it.");
    stage.rewrap("status").await?;
    rotate(&stage, &plugin, &[NEW_KEY]).await?;
    stage.rewrap("verify").await?;

    stage.say(&format!("\nall of it in {} s", started.elapsed().as_secs()));
    if wait {
        stage.say("everything stays up until you press Enter");
        BufReader::new(stdin())
            .read_line(&mut String::new())
            .await?;
    }
    Ok(())
}

/// Changes the file, tells the plugin, and waits until it wraps under the first of the keys.
async fn rotate(stage: &Stage, plugin: &Plugin, keys: &[&str]) -> Result<()> {
    stage.write_plugin_config(keys)?;
    stage.run("grep name: config.yaml").await?;
    plugin.reload(stage)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while stage.keyring().await? != keys {
        if Instant::now() > deadline {
            bail!("the plugin did not take its changed configuration");
        }
        sleep(Duration::from_millis(20)).await;
    }
    stage
        .run("kms-plugin status --config config.yaml")
        .await
        .context("asking the plugin")
}
