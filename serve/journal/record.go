package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A log file is its header, the magic and the number of its first record, and then records, all numbers little-endian:
//
//	magic     4 bytes
//	checksum  4 bytes, CRC-32C of all that follows
//	length    4 bytes, of the payload
//	kind      4 bytes
//	sequence  8 bytes, one more than the record's before
//	durable   8 bytes, the last sequence number that was on disk when this record was made
//	payload
//
// By durable a reader tells a write torn by loss of power, which nobody was told of, from damage to what was acknowledged.
const (
	logMagic      = "GIMBLOG1"
	logHeader     = 16
	recordMagic   = 0x4c4a4247
	recordHeader  = 32
	maxPayload    = 1 << 30
	command, mark = 0, 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(b []byte, kind byte, sequence, durable uint64, payload []byte) []byte {
	at := len(b)
	le := binary.LittleEndian
	b = le.AppendUint32(b, recordMagic)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(len(payload)))
	b = le.AppendUint32(b, uint32(kind))
	b = le.AppendUint64(b, sequence)
	b = le.AppendUint64(b, durable)
	b = append(b, payload...)
	le.PutUint32(b[at+4:], crc32.Checksum(b[at+8:], castagnoli))
	return b
}

type record struct {
	kind              uint32
	sequence, durable uint64
	payload           []byte
	size              int
}

// readRecord reads the record at the start of b; false when there is no whole one.
func readRecord(b []byte) (record, bool) {
	le := binary.LittleEndian
	if len(b) < recordHeader || le.Uint32(b) != recordMagic {
		return record{}, false
	}
	length := int64(le.Uint32(b[8:]))
	if length > int64(len(b)-recordHeader) {
		return record{}, false
	}
	size := recordHeader + int(length)
	if crc32.Checksum(b[8:size], castagnoli) != le.Uint32(b[4:]) {
		return record{}, false
	}
	return record{le.Uint32(b[12:]), le.Uint64(b[16:]), le.Uint64(b[24:]), b[recordHeader:size:size], size}, true
}

// durableAfter returns the largest durable number of the whole records in b, wherever they begin.
func durableAfter(b []byte) (most uint64) {
	for len(b) >= recordHeader {
		r, ok := readRecord(b)
		if !ok {
			b = b[1:]
			continue
		}
		most = max(most, r.durable)
		b = b[r.size:]
	}
	return most
}
