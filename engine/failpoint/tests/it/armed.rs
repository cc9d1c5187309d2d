//! Processes at places that are armed: this test's own binary, started again to do its part of a test.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::time::Duration;

use daybook_failpoint::{CLOCK, FOLDER, Fault, Faults, GROUP, NO_ADVISORY_LOCK, clock_offset_micros, is_armed, is_on, reach, text};

const SIGKILL: i32 = 9;

/// A folder of its own, gone with the test; and processes that have it: this binary again, told to run the same test.
struct Harness {
    faults: Faults,
    test: String,
}

impl Harness {
    /// None in such a process, which has done its part then.
    fn or_child<F: FnOnce()>(part: F) -> Option<Self> {
        if std::env::var_os(FOLDER).is_some() {
            part();
            return None;
        }
        let name = std::any::type_name::<F>().split("::").skip(1).take_while(|step| !step.starts_with('{'));
        let test = name.collect::<Vec<_>>().join("::");
        let folder = format!("daybook-{}-{}", test.replace("::", "-"), std::process::id());
        Some(Self { faults: Faults::new(std::env::temp_dir().join(folder)).expect("a folder"), test })
    }

    fn arm(&self, fault: Fault) {
        self.faults.arm("append.after", fault).expect("armed");
    }

    fn fired(&self, name: &str) -> usize {
        self.faults.fired(name).expect("readable")
    }

    fn child(&self) -> Output {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--exact", &self.test, "--nocapture"]).env(FOLDER, self.faults.folder()).env(GROUP, ".second");
        let output = command.output().expect("it runs");
        let ran = String::from_utf8_lossy(&output.stdout).contains("running 1 test");
        assert!(ran, "{} is no test", self.test);
        output
    }

    fn succeeds(&self) -> bool {
        self.child().status.success()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.faults.folder());
    }
}

#[test]
fn the_first_to_reach_an_armed_place_dies_there_and_the_next_goes_on() {
    let part = || {
        reach("append.before");
        reach("append.after");
    };
    let Some(harness) = Harness::or_child(part) else { return };
    harness.arm(Fault::KILL);
    assert_eq!(harness.child().status.signal(), Some(SIGKILL));
    assert_eq!(harness.fired("append.after"), 1);
    assert!(harness.succeeds());
    assert_eq!(harness.fired("append.after"), 1);
}

#[test]
fn of_many_who_reach_it_at_once_one_gets_it() {
    let part = || {
        std::thread::scope(|threads| {
            for _ in 0..16 {
                threads.spawn(|| reach("append.after"));
            }
        });
    };
    let Some(harness) = Harness::or_child(part) else { return };
    harness.arm(Fault::Pause(Duration::from_millis(1)));
    assert!(harness.succeeds());
    assert_eq!(harness.fired("append.after"), 1);
}

#[test]
fn a_thread_may_stand_still_and_go_on_or_panic() {
    let Some(harness) = Harness::or_child(|| reach("append.after")) else { return };
    harness.arm(Fault::Pause(Duration::from_millis(1)));
    assert!(harness.succeeds());
    harness.arm(Fault::Panic);
    let status = harness.child().status;
    assert!(status.code().is_some_and(|code| code != 0), "a failed test, not a killed one: {status}");
    assert_eq!(harness.fired("append.after"), 2);
}

#[test]
fn before_a_late_death_other_threads_go_on() {
    let part = || {
        assert!(is_armed("append.after"));
        std::thread::spawn(|| {
            // Once the place is taken, its taker stands still before it dies.
            while is_armed("append.after") {
                std::thread::yield_now();
            }
            println!("the other thread lives");
        });
        reach("append.after");
    };
    let Some(harness) = Harness::or_child(part) else { return };
    harness.arm(Fault::Kill { after: Duration::from_secs(2) });
    let output = harness.child();
    assert_eq!(output.status.signal(), Some(SIGKILL));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the other thread lives"));
}

#[test]
fn a_switch_is_marked_once_by_each_process_that_sees_it() {
    let Some(harness) = Harness::or_child(|| assert!(is_on(NO_ADVISORY_LOCK) && is_on(NO_ADVISORY_LOCK))) else { return };
    assert!(!harness.succeeds());
    harness.faults.switch_on(NO_ADVISORY_LOCK).expect("on");
    assert!(harness.succeeds());
    assert_eq!(harness.fired(NO_ADVISORY_LOCK), 1);
    assert!(harness.succeeds());
    assert_eq!(harness.fired(NO_ADVISORY_LOCK), 2);
    assert!(harness.faults.clear(NO_ADVISORY_LOCK).expect("off"));
    assert!(!harness.succeeds());
}

#[test]
fn the_clock_is_ahead_by_what_the_file_says() {
    let part = || {
        assert_eq!(clock_offset_micros(), -3_600_000_000);
        assert_eq!(clock_offset_micros(), -3_600_000_000);
    };
    let Some(harness) = Harness::or_child(part) else { return };
    assert!(!harness.succeeds());
    harness.faults.set_clock(-3_600_000_000).expect("set");
    assert!(harness.succeeds());
    assert_eq!(harness.fired(CLOCK), 1);
}

#[test]
fn a_variable_changes_a_process_from_its_start() {
    let Some(harness) = Harness::or_child(|| assert_eq!(text(GROUP).as_deref(), Some(".second"))) else { return };
    assert!(harness.succeeds());
}

#[test]
fn what_there_is_not_can_not_be_armed() {
    let Some(harness) = Harness::or_child(|| ()) else { return };
    assert!(harness.faults.arm("append.afterwards", Fault::KILL).is_err());
    assert!(harness.faults.switch_on("no-such-switch").is_err());
    assert!(!harness.faults.clear("append.after").expect("nothing to clear"));
}

#[test]
fn a_fault_is_read_as_it_was_written() {
    let ms = Duration::from_millis;
    for fault in [Fault::KILL, Fault::Kill { after: ms(250) }, Fault::Pause(ms(40)), Fault::Panic] {
        assert_eq!(fault.to_string().parse(), Ok(fault));
    }
    assert_eq!(("".parse(), "kill\n".parse()), (Ok(Fault::KILL), Ok(Fault::KILL)));
}

#[test]
fn without_the_variable_nothing_happens() {
    reach("append.after");
    assert!(!is_armed("append.after") && !is_on(NO_ADVISORY_LOCK));
    assert_eq!(clock_offset_micros(), 0);
}
