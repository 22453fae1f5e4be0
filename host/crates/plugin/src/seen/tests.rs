use super::{Book, End, Hook, Said, TIMED_EVERY};
use wire::fault::PluginFault;

fn call(shard: &super::Shard, hook: Hook, said: Said) -> bool {
    let begun = shard.begin(hook);
    let timed = shard.end(begun).is_some();
    shard.said(hook, said);
    timed
}

#[test]
fn shards_are_summed_and_the_past_stays() {
    let book = Book::default();
    let (one, two) = (book.shard(), book.shard());
    call(&one, Hook::RequestHead, Said::Edit);
    call(&two, Hook::RequestHead, Said::Edit);
    call(&two, Hook::RequestHead, Said::Answer);
    two.fault(Hook::Completion, PluginFault::Trap);
    let live = book.read("p");
    assert_eq!((live.hooks[0].hook, live.hooks[0].calls), (Hook::RequestHead, 3));
    assert_eq!(live.hooks[0].decisions, [("edit", 2), ("answer", 1)]);
    assert_eq!(live.hooks[1].faults, [(PluginFault::Trap, 1)]);
    // Two generations later: nobody writes there any more, and nothing is forgotten or told twice.
    drop((one, two));
    assert_eq!(book.read("p"), live);
    assert_eq!(book.read("p"), live);
}

#[test]
fn one_call_in_so_many_is_timed() {
    let book = Book::default();
    let shard = book.shard();
    let timed = (0..=TIMED_EVERY).map(|_| call(&shard, Hook::RequestHead, Said::Pass)).collect::<Vec<_>>();
    assert_eq!(timed.iter().filter(|timed| **timed).count(), 2);
    assert!(timed[0] && timed[usize::try_from(TIMED_EVERY).expect("small")]);
    assert!((0..3).all(|_| call(&shard, Hook::Configure, Said::Pass)), "an instance is dear: each is timed");
    let seen = book.read("p");
    let sums: Vec<u64> = seen.hooks.iter().map(|hook| hook.times.iter().sum()).collect();
    assert_eq!(sums, [3, 2]);
}

#[test]
fn instances_and_their_memory_come_and_go() {
    let book = Book::default();
    let shard = book.shard();
    let (mut worn, mut broken) = (shard.birth(), shard.birth());
    worn.holds(65_536);
    worn.holds(131_072);
    broken.holds(65_536);
    let seen = book.read("p");
    assert_eq!((seen.instances, seen.instances_made, seen.memory_bytes), (2, 2, 196_608));
    worn.ends(End::Worn);
    drop((worn, broken));
    let seen = book.read("p");
    assert_eq!((seen.instances, seen.instances_made, seen.memory_bytes), (0, 2, 0));
    assert_eq!(seen.instances_ended, [("fault", 1), ("worn", 1)]);
}
