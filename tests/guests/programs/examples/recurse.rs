//! Calls itself without end in the hook that `x-do` names.
#![forbid(unsafe_code)]

gatelodge_guest_programs::misbehaves!("recurse", std::hint::black_box(deeper(0)));

#[allow(unconditional_recursion, reason = "that is what this guest is for")]
fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 16]);
    // Something is left to do after the call, so it cannot become a jump.
    std::hint::black_box(deeper(frame[0] + 1)) + std::hint::black_box(frame)[15]
}
