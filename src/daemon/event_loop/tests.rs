//! The loop itself: what no process on the outside can bring about.

use std::path::Path;

use super::*;

const CONFIG: &str = r#"
    [cloudflare]
    api = "http://127.0.0.1:1"
    [address]
    ipv4 = [{ file = "/nonexistent/address" }]
    ipv6 = []
    [[record]]
    name = "home.example.com"
"#;

fn config() -> Config {
    crate::config::from_toml(CONFIG, Path::new("stayput.toml")).unwrap()
}

async fn shell() -> Loop {
    let job = Job {
        mode: Mode::Daemon,
        output: Output::Collect,
        config: config(),
        reread: Box::new(|| Ok(config())),
        state: StateMode::None,
        secrets: Secrets::MadeUp,
        socket: None,
    };
    let readings = accounts::read(job.config.accounts.clone(), job.secrets).await;
    Loop::new(job, readings).unwrap()
}

#[tokio::test]
async fn a_task_that_panics_ends_the_loop_and_its_words_go_no_further() {
    let mut shell = shell().await;
    shell.work.spawn(async { panic!("the secret is {}", "hunter2") });
    let work = shell.work.join_next().await.unwrap();
    let broken = shell.decide(Input::Finished(Box::new(work))).unwrap_err();
    assert!(matches!(broken, RunError::Panicked));
    assert!(!format!("{broken} {broken:?}").contains("hunter2"), "{broken:?}");
}

#[tokio::test]
async fn a_task_that_was_cancelled_ends_nothing() {
    let mut shell = shell().await;
    shell.work.spawn(std::future::pending());
    shell.work.abort_all();
    let work = shell.work.join_next().await.unwrap();
    assert!(shell.decide(Input::Finished(Box::new(work))).is_ok());
    assert!(!shell.is_over());
}

#[tokio::test]
async fn a_hangup_while_the_files_are_read_has_them_read_once_more_and_only_once() {
    let mut shell = shell().await;
    shell.handle_signal(Signal::Reload, clock::now());
    assert!(matches!(shell.reload, Reload::Called(..)));
    shell.begin_reload();
    for _ in 0..3 {
        shell.handle_signal(Signal::Reload, clock::now());
        assert_eq!(shell.reload, Reload::Stale);
    }
    let mut reads = 0;
    while shell.reload != Reload::Idle {
        if matches!(shell.reload, Reload::Called(..)) {
            shell.begin_reload();
        }
        let work = shell.work.join_next().await.unwrap();
        shell.decide(Input::Finished(Box::new(work))).unwrap();
        reads += 1;
    }
    assert_eq!(reads, 2);
}
