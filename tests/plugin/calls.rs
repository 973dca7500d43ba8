//! What kube-apiserver asks, and what must not keep it from an answer.

use std::{io::Write, os::unix::net::UnixStream};

use rustix::process::Signal;
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    as_request, encrypt, key_id, opens, refusal,
    support::{
        eventually,
        plugin::{Plugin, Site},
    },
};

#[tokio::test]
async fn what_is_wrapped_unwraps_also_after_a_restart_and_nothing_else_does() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    assert_eq!(wrapped.key_id, key_id(&mut client).await);
    assert_ne!(wrapped.ciphertext, encrypt(&mut client).await.ciphertext);

    plugin.signal(Signal::TERM);
    plugin.wait();
    let plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    assert!(opens(&mut client, &wrapped).await);

    for at in 0..wrapped.ciphertext.len() {
        let mut altered = as_request(&wrapped);
        altered.ciphertext[at] ^= 1;
        assert_eq!(refusal(&mut client, altered).await, Code::InvalidArgument);
    }
    let mut unknown = as_request(&wrapped);
    unknown.key_id += "0";
    assert_eq!(
        refusal(&mut client, unknown).await,
        Code::FailedPrecondition
    );
    let mut annotated = as_request(&wrapped);
    annotated
        .annotations
        .insert("a.example.com".to_owned(), vec![]);
    assert_eq!(refusal(&mut client, annotated).await, Code::InvalidArgument);
    let mut large = as_request(&wrapped);
    large
        .annotations
        .insert("a.example.com".to_owned(), vec![0; 65 * 1024]);
    assert_eq!(refusal(&mut client, large).await, Code::OutOfRange);
    assert!(opens(&mut client, &wrapped).await);
}

#[tokio::test]
async fn noise_on_the_socket_disturbs_nobody() {
    let site = Site::with_key();
    let plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 5000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff",
    ] {
        let mut stream = UnixStream::connect(site.socket()).unwrap();
        // It may have hung up before the end.
        let _ = stream.write_all(noise);
        drop(stream);
    }
    let wrapped = encrypt(&mut client).await;
    assert!(opens(&mut client, &wrapped).await);
    eventually("the noise is gone", || {
        (plugin.metric("ringfence_connections") == 1.0).then_some(())
    });
}

#[tokio::test]
async fn running_out_of_file_descriptors_passes() {
    let site = Site::with_key();
    let mut plugin = Plugin::start(&site);
    plugin.limit_files(Some(0));
    let waiting = UnixStream::connect(site.socket()).unwrap();
    plugin.logged("cannot accept a connection");
    plugin.logged("refused the changed files");
    plugin.limit_files(None);

    drop(waiting);
    let wrapped = encrypt(&mut plugin.client().await).await;
    assert!(opens(&mut plugin.client().await, &wrapped).await);
    eventually("the files are read again", || {
        (plugin.metric("ringfence_config_last_reload_successful") == 1.0).then_some(())
    });
    // With pauses between them: a loop without would have made many thousands.
    let errors = plugin.metric("ringfence_accept_errors_total");
    assert!((1.0..1000.0).contains(&errors), "{errors}");
}

/// Calls in a row, as many as all apiservers of a large cluster make in weeks.
#[tokio::test]
#[ignore = "100,000 calls; run it in the release profile"]
async fn memory_stays_below_10_mib() {
    let site = Site::with_key();
    let plugin = Plugin::start(&site);
    let mut client = plugin.client().await;
    let wrapped = encrypt(&mut client).await;
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let (mut client, wrapped) = (client.clone(), wrapped.clone());
        callers.spawn(async move {
            for _ in 0..5_000 {
                encrypt(&mut client).await;
                assert!(opens(&mut client, &wrapped).await);
            }
        });
    }
    callers.join_all().await;
    let peak = plugin.peak_memory_kib();
    println!("VmHWM {peak} KiB");
    assert!(peak < 10 * 1024, "{peak} KiB");
}
