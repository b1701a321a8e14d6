//! What an epoch costs per cell. `docs/yuma.md` has a table.

extern crate alloc;

mod subnet;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use subnet::{params, Fill, Subnet, RULES};

const SIZES: [(&str, u16, Fill); 4] = [
    ("256x64 full", 256, Fill::Full),
    ("1024x64 full", 1_024, Fill::Full),
    ("4096x64 5% scattered", 4_096, Fill::Scattered(50)),
    ("4096x64 5% agreed", 4_096, Fill::Agreed(50)),
];

fn epochs(criterion: &mut Criterion) {
    // glibc gives memory back to the system after each epoch, and gets it page by page in the next, until it
    // has seen a large allocation freed.
    drop(std::hint::black_box(vec![1_u8; 16 << 20]));
    for (rule, name) in RULES.iter().enumerate() {
        let params = params(rule);
        let mut group = criterion.benchmark_group(*name);
        for (size, members, fill) in SIZES {
            let subnet = Subnet::new(members, 64, fill, &params);
            group.throughput(Throughput::Elements(subnet.cells() as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| subnet.epoch(&params));
            });
        }
    }
}

criterion_group!(benches, epochs);
criterion_main!(benches);
