;; The Internet checksum over a piece of an imported memory.
;;
;; sum(off, len) -> the 16-bit partial sum (big-endian words, not complemented) of len bytes at off: the same value,
;; modulo 0xffff and in being zero, as csumPartial(bytes, off, len, 0). Any alignment, any length.
;; The words are added as the machine's little-endian halves and the two bytes of the result are exchanged once, at
;; the end (RFC 1071 2(B)). Build: node scripts/build-wasm.mjs
(module
  (import "env" "memory" (memory 0 65536))
  (func (export "sum") (param $p i32) (param $len i32) (result i32)
    (local $end i32) (local $acc i64)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $p) (local.get $len)))

    ;; 64 bytes a turn into four accumulators of four 32-bit lanes. A lane takes 2 * 0xffff a turn, so it would
    ;; overflow after 32768 turns; an outer turn ends after 1 MiB and empties the lanes into $acc.
    (loop $chunk
      (if (i32.ge_u (local.get $len) (i32.const 64))
        (then
          (local.set $a (v128.const i32x4 0 0 0 0))
          (local.set $b (v128.const i32x4 0 0 0 0))
          (local.set $c (v128.const i32x4 0 0 0 0))
          (local.set $d (v128.const i32x4 0 0 0 0))
          (local.set $end
            (i32.add (local.get $p)
              (select (i32.const 1048576)
                (i32.and (local.get $len) (i32.const -64))
                (i32.gt_u (local.get $len) (i32.const 1048576)))))
          (local.set $len (i32.sub (local.get $len) (i32.sub (local.get $end) (local.get $p))))
          (loop $vec
            (local.set $a (i32x4.add (local.get $a) (i32x4.extadd_pairwise_i16x8_u (v128.load (local.get $p)))))
            (local.set $b (i32x4.add (local.get $b) (i32x4.extadd_pairwise_i16x8_u (v128.load offset=16 (local.get $p)))))
            (local.set $c (i32x4.add (local.get $c) (i32x4.extadd_pairwise_i16x8_u (v128.load offset=32 (local.get $p)))))
            (local.set $d (i32x4.add (local.get $d) (i32x4.extadd_pairwise_i16x8_u (v128.load offset=48 (local.get $p)))))
            (local.set $p (i32.add (local.get $p) (i32.const 64)))
            (br_if $vec (i32.lt_u (local.get $p) (local.get $end))))
          (local.set $a
            (i64x2.add
              (i64x2.add
                (i64x2.add (i64x2.extend_low_i32x4_u (local.get $a)) (i64x2.extend_high_i32x4_u (local.get $a)))
                (i64x2.add (i64x2.extend_low_i32x4_u (local.get $b)) (i64x2.extend_high_i32x4_u (local.get $b))))
              (i64x2.add
                (i64x2.add (i64x2.extend_low_i32x4_u (local.get $c)) (i64x2.extend_high_i32x4_u (local.get $c)))
                (i64x2.add (i64x2.extend_low_i32x4_u (local.get $d)) (i64x2.extend_high_i32x4_u (local.get $d))))))
          (local.set $acc
            (i64.add (local.get $acc)
              (i64.add (i64x2.extract_lane 0 (local.get $a)) (i64x2.extract_lane 1 (local.get $a)))))
          (br $chunk))))

    ;; The last 0..63 bytes: whole words of 8, then 4, 2 and 1.
    (local.set $end (i32.add (local.get $p) (i32.and (local.get $len) (i32.const -8))))
    (block $words_done
      (br_if $words_done (i32.ge_u (local.get $p) (local.get $end)))
      (loop $words
        (local.set $acc
          (i64.add (local.get $acc)
            (i64.add (i64.load32_u (local.get $p)) (i64.load32_u offset=4 (local.get $p)))))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (br_if $words (i32.lt_u (local.get $p) (local.get $end)))))
    (if (i32.and (local.get $len) (i32.const 4))
      (then
        (local.set $acc (i64.add (local.get $acc) (i64.load32_u (local.get $p))))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))))
    (if (i32.and (local.get $len) (i32.const 2))
      (then
        (local.set $acc (i64.add (local.get $acc) (i64.load16_u (local.get $p))))
        (local.set $p (i32.add (local.get $p) (i32.const 2)))))
    (if (i32.and (local.get $len) (i32.const 1))
      (then
        (local.set $acc (i64.add (local.get $acc) (i64.load8_u (local.get $p))))))

    ;; Fold 64 bits to 32, to 16, and exchange the bytes.
    (local.set $acc
      (i64.add (i64.and (local.get $acc) (i64.const 0xffffffff)) (i64.shr_u (local.get $acc) (i64.const 32))))
    (local.set $acc
      (i64.add (i64.and (local.get $acc) (i64.const 0xffff)) (i64.shr_u (local.get $acc) (i64.const 16))))
    (local.set $p (i32.wrap_i64 (local.get $acc)))
    (local.set $p (i32.add (i32.and (local.get $p) (i32.const 0xffff)) (i32.shr_u (local.get $p) (i32.const 16))))
    (local.set $p (i32.add (i32.and (local.get $p) (i32.const 0xffff)) (i32.shr_u (local.get $p) (i32.const 16))))
    (i32.or
      (i32.shl (i32.and (local.get $p) (i32.const 0xff)) (i32.const 8))
      (i32.shr_u (local.get $p) (i32.const 8)))))
