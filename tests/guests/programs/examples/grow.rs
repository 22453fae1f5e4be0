//! Takes memory without end in the hook that `x-do` names.
#![forbid(unsafe_code)]

gatelodge_guest_programs::misbehaves!("grow", {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1; 1024 * 1024]));
    }
});
