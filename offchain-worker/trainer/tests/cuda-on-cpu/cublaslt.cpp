// The part of cuBLASLt that the trainer uses: D = α · op(A) · op(B) + β · C in column order, bfloat16 or float
// in, float accumulation in the order of the inner dimension, bfloat16 or float out.
#include <cstdint>

#include "driver.h"

using namespace fake;
#define API extern "C" __attribute__((visibility("default")))

namespace {

enum { FLOAT = 0, BFLOAT16 = 14 };                              // cudaDataType
enum { OK = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };         // cublasStatus_t
enum { TRANSPOSE_A = 3, TRANSPOSE_B = 4 };                      // cublasLtMatmulDescAttributes_t
enum { COMPUTE_32F = 68 };                                      // cublasComputeType_t

struct Layout {
    int type;
    uint64_t rows, columns;
    int64_t stride;
};

struct Description {
    int transpose_a = 0, transpose_b = 0;
};

struct Heuristic {
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

float get(const void* from, int type, size_t at) {
    return type == BFLOAT16 ? __uint_as_float((u32)((const u16*)from)[at] << 16) : ((const float*)from)[at];
}

void put(void* to, int type, size_t at, float x) {
    if (type == BFLOAT16)
        ((u16*)to)[at] = round_to_bf16(x);
    else
        ((float*)to)[at] = x;
}

}  // namespace

API int cublasLtCreate(void** handle) { return *handle = (void*)1, OK; }
API int cublasLtDestroy(void*) { return OK; }
API size_t cublasLtGetVersion() { return 130100; }
API int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t stride) {
    if (stride < (int64_t)rows || (type != FLOAT && type != BFLOAT16)) return INVALID_VALUE;
    return *layout = new Layout{type, rows, columns, stride}, OK;
}
API int cublasLtMatrixLayoutDestroy(Layout* layout) { return delete layout, OK; }
API int cublasLtMatmulDescCreate(Description** description, int compute, int scale) {
    if (compute != COMPUTE_32F || scale != FLOAT) return NOT_SUPPORTED;
    return *description = new Description, OK;
}
API int cublasLtMatmulDescDestroy(Description* description) { return delete description, OK; }
API int cublasLtMatmulDescSetAttribute(Description* description, int attribute, const void* value, size_t size) {
    if (size != 4 || (attribute != TRANSPOSE_A && attribute != TRANSPOSE_B)) return NOT_SUPPORTED;
    return (attribute == TRANSPOSE_A ? description->transpose_a : description->transpose_b) = *(const int*)value, OK;
}
API int cublasLtMatmulPreferenceCreate(void** preference) { return *preference = (void*)1, OK; }
API int cublasLtMatmulPreferenceDestroy(void*) { return OK; }
API int cublasLtMatmulPreferenceSetAttribute(void*, int, const void*, size_t) { return OK; }
API int cublasLtMatmulAlgoGetHeuristic(void*, Description*, Layout*, Layout*, Layout*, Layout*, void*, int, Heuristic* result, int* count) {
    return *result = {}, *count = 1, OK;
}
API int cublasLtMatmul(void*, Description* description, const float* alpha, const void* a, Layout* la, const void* b, Layout* lb,
                       const float* beta, const void* c, Layout* lc, void* d, Layout* ld, const void*, void*, size_t, void* stream) {
    Description op = *description;
    uint64_t m = op.transpose_a ? la->columns : la->rows, k = op.transpose_a ? la->rows : la->columns;
    uint64_t n = op.transpose_b ? lb->rows : lb->columns, inner = op.transpose_b ? lb->columns : lb->rows;
    if (k != inner || m != ld->rows || n != ld->columns || lc->rows != m || lc->columns != n) return INVALID_VALUE;
    Layout sa = *la, sb = *lb, sc = *lc, sd = *ld;
    float alpha_now = *alpha, beta_now = *beta;
    int error = enqueue(stream, [=] {
        for (uint64_t j = 0; j < n; j++)
            for (uint64_t i = 0; i < m; i++) {
                float sum = 0;
                for (uint64_t p = 0; p < k; p++)
                    sum += get(a, sa.type, op.transpose_a ? i * sa.stride + p : p * sa.stride + i) *
                           get(b, sb.type, op.transpose_b ? p * sb.stride + j : j * sb.stride + p);
                float old = beta_now != 0 ? beta_now * get(c, sc.type, j * sc.stride + i) : 0;
                put(d, sd.type, j * sd.stride + i, alpha_now * sum + old);
            }
        return 0;
    });
    return error ? 14 : OK;
}
