//! The engine's clock, and an alarm on it.
//!
//! Both are on `CLOCK_BOOTTIME`: the wall clock may jump, and `CLOCK_MONOTONIC` stands still while the
//! machine sleeps, so a look that became due in the night would come hours late. Deliberately unknown:
//! what the alarm is for.

use std::time::SystemTime;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe;

use crate::engine::names::Moment;
use crate::engine::time::ClockPair;

/// The present instant on the engine's clock.
pub fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    Moment::from_millis(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
}

/// The wall clock and the engine's clock, read together.
#[expect(clippy::disallowed_methods, reason = "the state file dates moments")]
pub fn read() -> ClockPair {
    ClockPair::at(SystemTime::now(), now())
}

/// Wakes a task at an instant, also when that instant passed while the machine slept.
///
/// Where the kernel gives no timer (no descriptor left), the runtime's own clock is used: it may then
/// come late after a sleep, which costs nothing but time.
#[derive(Debug)]
pub struct Alarm {
    timer: Option<pipe::Receiver>,
}

impl Alarm {
    /// Must be called within the runtime.
    pub fn unset() -> Alarm {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)
            .ok()
            .and_then(|fd| pipe::Receiver::from_owned_fd_unchecked(fd).ok());
        Alarm { timer }
    }

    /// Returns at `when`, or never.
    pub async fn rings_at(&mut self, when: Option<Moment>) {
        let Some(when) = when else {
            return std::future::pending().await;
        };
        loop {
            let left = now().until(when);
            if left.is_zero() {
                return;
            }
            let waited = match &self.timer {
                Some(timer) => wait(timer, when).await,
                None => Err(std::io::ErrorKind::Unsupported.into()),
            };
            if waited.is_err() {
                self.timer = None;
                tokio::time::sleep(left).await;
            }
        }
    }
}

/// Sets the timer to `when` and waits until it fires.
async fn wait(timer: &pipe::Receiver, when: Moment) -> std::io::Result<()> {
    let millis = when.as_millis().max(1);
    let spec = Itimerspec {
        it_interval: Timespec::default(),
        it_value: Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 },
    };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &spec)?;
    loop {
        timer.readable().await?;
        // The count of expirations; reading it arms the descriptor again.
        match timer.try_read(&mut [0; 8]) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn in_a_runtime(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    }

    #[test]
    fn the_alarm_rings_at_its_instant_and_not_before() {
        in_a_runtime(async {
            let mut alarm = Alarm::unset();
            for span in [Duration::ZERO, Duration::from_millis(30)] {
                let when = now() + span;
                alarm.rings_at(Some(when)).await;
                assert!(now() >= when, "rang early");
                assert!(now().since(when) < Duration::from_secs(5), "rang late");
            }
        });
    }

    #[test]
    fn the_alarm_and_the_clock_go_on_while_the_machine_sleeps() {
        use std::os::fd::AsRawFd;
        in_a_runtime(async {
            let alarm = Alarm::unset();
            let timer = alarm.timer.as_ref().unwrap().as_raw_fd();
            let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{timer}")).unwrap();
            // No test sends a machine to sleep; the kernel's number of CLOCK_BOOTTIME has to do.
            assert!(about.lines().any(|line| line.trim() == "clockid: 7"), "{about}");
        });
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let since_boot: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let shown = Moment::from_millis(0).until(now()).as_secs_f64();
        assert!((shown - since_boot).abs() < 5.0, "{shown} s, but {since_boot} s since the boot");
    }

    #[test]
    fn an_alarm_that_was_dropped_halfway_can_be_set_again() {
        in_a_runtime(async {
            let mut alarm = Alarm::unset();
            let far = now() + Duration::from_secs(3600);
            tokio::select! {
                () = alarm.rings_at(Some(far)) => panic!("an hour went by"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
            let when = now() + Duration::from_millis(10);
            alarm.rings_at(Some(when)).await;
            assert!(now() >= when);
        });
    }

    #[test]
    fn without_a_kernel_timer_the_alarm_rings_all_the_same() {
        in_a_runtime(async {
            let mut alarm = Alarm { timer: None };
            let when = now() + Duration::from_millis(10);
            alarm.rings_at(Some(when)).await;
            assert!(now() >= when);
        });
    }
}
