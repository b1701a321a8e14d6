//! Files of strangers: never a panic, never more memory than the layout allows. Runs the fuzzer's corpus and
//! mutations of it that know the format.

#[path = "../fuzz/cases.rs"]
mod cases;

use std::{
    alloc::{GlobalAlloc, Layout as Memory, System},
    cell::Cell,
    collections::BTreeMap,
    panic::resume_unwind,
    path::PathBuf,
    thread,
};

use cairn_gradient::{
    compress, decode, read_vector, verify, Contribution, DecodeError, Header, TensorFault, Work,
    HEADER_LENGTH, READ_AT_ONCE,
};
use cairn_primitives::{ModelRoot, Netuid, H256};

/// Counts what this thread allocates, and remembers the most that was at one time.
struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let now = NOW.get() + bytes;
    NOW.set(now);
    MOST.set(MOST.get().max(now));
}

// SAFETY: everything is left to the system's allocator; the counters need no memory and are never dropped.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        count(memory.size() as isize);
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, memory: Memory) {
        count(-(memory.size() as isize));
        unsafe { System.dealloc(pointer, memory) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does everything on one thread, whose memory can be counted: it is the only one of its thread pool.
fn alone(test: impl FnOnce() + Send) {
    let on_thread = || {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .use_current_thread()
            .build();
        let _pool = pool.expect("a new thread is of no pool");
        test();
    };
    let ended = thread::scope(|scope| scope.spawn(on_thread).join());
    ended.unwrap_or_else(|panic| resume_unwind(panic));
}

/// The most bytes that were allocated at one time meanwhile.
fn most_of(work: impl FnOnce()) -> usize {
    let before = NOW.get();
    MOST.set(before);
    work();
    (MOST.get() - before).unsigned_abs()
}

/// A contribution to the run of this byte, with the byte before it as in the corpus.
fn valid(run: u8, seed: u64) -> Vec<u8> {
    let (layout, compression) = cases::run(run);
    let mut state = seed;
    let delta: Vec<f32> = (0..layout.parameters())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let uniform = (state >> 40) as f32 / (1 << 24) as f32 - 0.5;
            uniform * uniform * uniform
        })
        .collect();
    let header = Header {
        netuid: Netuid(3),
        round: 41,
        hotkey: [7; 32].into(),
        parent_root: ModelRoot(H256([9; 32])),
        layout_hash: layout.hash(),
        inner_steps: 30,
        tokens: 61_440,
        mean_loss: 5.25,
        work: Work::default(),
    };
    let mut error = vec![0.0; delta.len()];
    let (_, file) = compress(&layout, &compression, &delta, &mut error, header).unwrap();
    [&[run][..], &file].concat()
}

/// The files of the corpus: of each run a valid one and what strangers may make of it.
fn corpus() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for run in 0..6 {
        let good = valid(run, u64::from(run));
        let body = 1 + HEADER_LENGTH;
        let mut add = |name: &str, damage: &dyn Fn(&mut Vec<u8>)| {
            let mut file = good.clone();
            damage(&mut file);
            files.insert(format!("{run}-{name}"), file);
        };
        add("valid", &|_| {});
        add("empty", &|file| file.truncate(1));
        add("header-only", &|file| file.truncate(body));
        add("cut", &|file| file.truncate(file.len() - 1));
        add("trailing-byte", &|file| file.push(0));
        add("foreign-layout", &|file| file[1 + 76] ^= 1);
        add("other-run", &|file| file[0] = (file[0] + 1) % 5);
        add("loss-not-a-number", &|file| {
            file[1 + 120..1 + 124].copy_from_slice(&f32::NAN.to_le_bytes());
        });
        add("no-engine", &|file| file[1 + 124] ^= 1);
        add("huge-length", &|file| {
            file.splice(body..body + 1, [0xFF, 0xFF, 0xFF, 0xFF, 0x7F]);
        });
        add("long-length", &|file| {
            let low = file[body] | 0x80;
            file.splice(body..body + 1, [low, 0]);
        });
        add("infinite-level", &|file| {
            let start = parameters(file) + 2;
            file[start..start + 2].copy_from_slice(&[0xFF, 0x00]);
        });
        add("level-not-a-number", &|file| {
            let start = parameters(file) + 2;
            file[start..start + 2].copy_from_slice(&[0xFF, 0x80]);
        });
        add("only-ones", &|file| {
            let start = parameters(file) + 2;
            file[start..].fill(0xFF);
        });
        add("only-zeros", &|file| {
            let start = parameters(file);
            file[start..].fill(0);
        });
        add("other-parameters", &|file| {
            let start = parameters(file);
            file[start] = file[start].wrapping_add(0x11);
        });
    }
    files
}

/// Where the first part's parameters are.
fn parameters(file: &[u8]) -> usize {
    let length = file[1 + HEADER_LENGTH..]
        .iter()
        .position(|byte| byte & 0x80 == 0);
    1 + HEADER_LENGTH + 1 + length.unwrap_or(0)
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/decode")
}

/// `CAIRN_WRITE_CORPUS=1 cargo test -p cairn-gradient --test hostile` writes it anew.
#[test]
fn the_corpus_is_kept() {
    if std::env::var_os("CAIRN_WRITE_CORPUS").is_some() {
        std::fs::create_dir_all(directory()).unwrap();
        for (name, file) in corpus() {
            std::fs::write(directory().join(name), file).unwrap();
        }
    }
    for (name, file) in corpus() {
        let kept = std::fs::read(directory().join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(kept == file, "{name} is of another version of the format");
    }
}

#[test]
fn the_corpus_is_decoded_or_refused() {
    alone(|| {
        let mut checked = 0;
        for entry in std::fs::read_dir(directory()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let result = bounded(&std::fs::read(&path).unwrap(), &name);
            assert_eq!(
                result.is_ok(),
                name.ends_with("-valid"),
                "{name}: {result:?}"
            );
            checked += 1;
        }
        assert!(checked >= corpus().len(), "the corpus is not there");
    });
}

/// Decodes and verifies, and compares what each took with what the layout allows.
fn bounded(data: &[u8], name: &str) -> Result<Contribution, DecodeError> {
    let (layout, compression) = cases::run(data[0]);
    let file = &data[1..];
    // codes and levels of a tensor, and something for each tensor's name and lists
    let values = layout.0.iter().map(|tensor| 2 * tensor.len() + 4 * 64);
    let lists = data.len() + 512 * (layout.0.len() + 1);
    let within = |what: &str, taken: usize, allowed: usize| {
        assert!(
            taken <= allowed,
            "{name}: {what} took {taken} bytes where {allowed} suffice"
        );
    };
    let all = values.clone().sum::<usize>() + lists;
    within(
        "decoding",
        most_of(|| drop(decode(file, &layout, &compression))),
        all,
    );
    let one = values.max().unwrap_or(0) + lists;
    within(
        "verifying",
        most_of(|| drop(verify(file, &layout, &compression))),
        one,
    );
    cases::check(data).expect("there is a first byte")
}

/// Numbers that never change.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Single bits, whole bytes, pieces copied, cut out and put in, lengths corrected or not.
#[test]
fn mutations_are_decoded_or_refused() {
    alone(|| {
        let (mut numbers, mut refused, mut accepted) = (Numbers(1), 0, 0);
        for number in 0..6_000 {
            let mut file = valid((number % 5) as u8, number / 5);
            for _ in 0..=numbers.below(3) {
                mutate(&mut file, &mut numbers);
            }
            match bounded(&file, &format!("mutation {number}")) {
                Ok(_) => accepted += 1,
                Err(_) => refused += 1,
            }
        }
        assert!(
            refused > 1_000 && accepted > 10,
            "{accepted} accepted, {refused} refused"
        );
    });
}

fn mutate(file: &mut Vec<u8>, numbers: &mut Numbers) {
    let body = 1 + HEADER_LENGTH;
    // seldom the header, which is looked at first
    let from = if numbers.below(20) == 0 { 1 } else { body };
    let at = from + numbers.below((file.len() - from).max(1));
    let at = at.min(file.len() - 1);
    match numbers.below(6) {
        0 => file[at] ^= 1 << numbers.below(8),
        1 => file[at] = [0, 0xFF, 0x80, 0x7F][numbers.below(4)],
        2 => {
            let end = (at + 1 + numbers.below(8)).min(file.len());
            file.drain(at..end);
        }
        3 => {
            let end = (at + 1 + numbers.below(16)).min(file.len());
            let piece = file[at..end].to_vec();
            file.splice(at..at, piece);
        }
        4 => file.truncate(at.max(body)),
        _ => file.extend((0..numbers.below(9)).map(|_| 0)),
    }
    if file.len() <= body {
        file.resize(body + 1, 0);
    }
}

/// The longest unary number that a length allows costs no more than reading it.
#[test]
fn ones_without_an_end_are_refused_at_once() {
    alone(|| {
        let (layout, compression) = cases::run(0);
        let good = valid(0, 0);
        let most = cairn_gradient::max_encoded_len(&layout, &compression) as usize;
        let mut file = good[..1 + HEADER_LENGTH].to_vec();
        let length = most - HEADER_LENGTH - 1;
        file.push(length as u8);
        file.extend(vec![0xFF; length]);
        assert!(matches!(
            bounded(&file, "ones"),
            Err(DecodeError::Tensor {
                fault: TensorFault::Truncated { block: 0 }
                    | TensorFault::LevelTooLarge { block: 0 },
                ..
            })
        ));
    });
}

/// A checkpoint is held once, however long it is, and a piece of its bytes beside.
#[test]
fn a_vector_takes_its_own_memory_and_a_pieces() {
    alone(|| {
        for pieces in [0, 1, 2, 16] {
            let bytes = vec![7u8; pieces * READ_AT_ONCE + 4];
            let length = bytes.len() as u64;
            let most = most_of(|| drop(read_vector(bytes.as_slice(), length).unwrap()));
            let more = READ_AT_ONCE + (64 << 10);
            assert!((bytes.len()..=bytes.len() + more).contains(&most), "{most}");
        }
    });
}
