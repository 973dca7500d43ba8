use std::os::unix::{fs::symlink, net::UnixListener as StdListener};

use super::*;

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    directory
}

fn config(path: PathBuf) -> Config {
    Config {
        path,
        mode: 0o600,
        group: None,
        peers: Peers {
            uids: Peers::default_uids(),
            gids: [].into(),
            allow_overflow_id: false,
        },
    }
}

#[tokio::test]
async fn a_bound_socket_has_its_mode_and_goes_with_its_owner() {
    let directory = directory();
    let config = Config {
        mode: 0o660,
        group: Some(rustix::process::getegid().as_raw()),
        ..config(directory.path().join("s"))
    };
    let socket = Socket::bind(&config).unwrap();
    let metadata = fs::symlink_metadata(&config.path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.mode() & 0o7777, 0o660);
    assert!(!directory.path().join("s.new").exists());
    drop(socket);
    assert!(!config.path.exists());
    Socket::bind(&config).unwrap();
}

#[tokio::test]
async fn a_socket_that_is_no_longer_ours_stays() {
    let directory = directory();
    let config = config(directory.path().join("s"));
    let socket = Socket::bind(&config).unwrap();
    fs::remove_file(&config.path).unwrap();
    let _other = StdListener::bind(&config.path).unwrap();
    drop(socket);
    assert!(config.path.exists());
}

#[tokio::test]
async fn a_dead_socket_and_an_unfinished_one_are_replaced() {
    let directory = directory();
    let config = config(directory.path().join("s"));
    // Dropping a std listener leaves its file.
    drop(StdListener::bind(&config.path).unwrap());
    drop(StdListener::bind(directory.path().join("s.new")).unwrap());
    let _socket = Socket::bind(&config).unwrap();
    std::os::unix::net::UnixStream::connect(&config.path).unwrap();
}

#[tokio::test]
async fn whatever_else_is_at_the_path_is_left_alone() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    let subdirectory = directory.path().join("directory");
    fs::create_dir(&subdirectory).unwrap();
    let link = directory.path().join("link");
    symlink(&file, &link).unwrap();
    for path in [&file, &subdirectory, &link] {
        let error = Socket::bind(&config(path.clone())).unwrap_err();
        assert!(
            matches!(&error, BindError::NotASocket(at) if at == path),
            "{error}"
        );
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

    let live = directory.path().join("live");
    let _listener = StdListener::bind(&live).unwrap();
    let error = Socket::bind(&config(live.clone())).unwrap_err();
    assert!(
        matches!(&error, BindError::Live(at) if *at == live),
        "{error}"
    );
}

#[tokio::test]
async fn a_live_socket_with_a_full_backlog_is_live() {
    let directory = directory();
    let path = directory.path().join("s");
    let address = SocketAddrUnix::new(path.as_os_str().as_bytes()).unwrap();
    let stream = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
    };
    let listener = stream();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let waiting = stream();
    rustix::net::connect(&waiting, &address).unwrap();

    let error = Socket::bind(&config(path)).unwrap_err();
    assert!(matches!(error, BindError::Live(_)), "{error}");
}

#[tokio::test]
async fn the_lock_lets_one_in() {
    let directory = directory();
    let config = config(directory.path().join("s"));
    let first = Socket::bind(&config).unwrap();
    let error = Socket::bind(&config).unwrap_err();
    assert!(matches!(&error, BindError::Locked(_)), "{error}");
    drop(first);
    Socket::bind(&config).unwrap();
}

#[tokio::test]
async fn a_directory_that_others_write_to_is_refused() {
    let directory = directory();
    let config = config(directory.path().join("s"));
    for mode in [0o720, 0o702, 0o1777] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = Socket::bind(&config).unwrap_err();
        assert!(matches!(error, BindError::Directory { mode: found, .. } if found == mode));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_missing_directory_and_a_long_path_are_refused() {
    let directory = directory();
    let missing = directory.path().join("missing/s");
    let error = Socket::bind(&config(missing)).unwrap_err();
    assert!(matches!(error, BindError::NoDirectory(_)), "{error}");
    let long = directory.path().join("s".repeat(MAX_PATH_LEN));
    let error = Socket::bind(&config(long)).unwrap_err();
    assert!(matches!(error, BindError::PathTooLong(_)), "{error}");
}
