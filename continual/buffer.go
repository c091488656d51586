package continual

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// The ways to choose the rows that are kept.
const (
	reservoir = "reservoir" // every row seen so far is as likely to be kept as any other
	balanced  = "balanced"  // every class has as many places as any other, its rows drawn as by reservoir
	herding   = "herding"   // every class has as many places, for the rows whose running mean stays nearest to the class's
)

// buffer is rows of earlier tasks that are kept to be learned again. With reservoir and balanced what it holds is a function of the rows
// seen and the seed, whatever their order: a row's place in the queue is a hash of itself. Herding also knows the tasks.
type buffer struct {
	strategy string
	capacity int
	seed     uint64
	rows     *lesson
	rank     []uint64 // of each row: lower stays longer; its place in the order of herding
}

// add offers rows of a task to the buffer, and returns the buffer after it.
func (b *buffer) add(task *lesson) *buffer {
	next := &buffer{strategy: b.strategy, capacity: b.capacity, seed: b.seed}
	rank := b.ranks(task)
	all := &lesson{slices.Concat(b.rows.x, task.x), slices.Concat(b.rows.labels, task.labels), task.d}
	ranks := slices.Concat(b.rank, rank)
	order := make([]int, len(ranks))
	for i := range order {
		order[i] = i
	}
	queue := func(x, y int) int {
		return cmp.Or(cmp.Compare(ranks[x], ranks[y]), data.CompareClasses(all.labels[x], all.labels[y]), slices.Compare(all.row(x), all.row(y)))
	}
	slices.SortFunc(order, queue)
	if b.strategy != reservoir {
		order = shares(order, all.labels, b.capacity)
	}
	order = order[:min(len(order), b.capacity)]
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Or(data.CompareClasses(all.labels[x], all.labels[y]), slices.Compare(all.row(x), all.row(y)), cmp.Compare(ranks[x], ranks[y]))
	})
	next.rows = all.pick(order)
	for _, i := range order {
		next.rank = append(next.rank, ranks[i])
	}
	return next
}

// shares takes, from a queue, rows of all classes in turn, so that places are shared out evenly and none stays empty.
func shares(queue []int, labels []string, capacity int) (taken []int) {
	byClass := map[string][]int{}
	var names []string
	for _, i := range queue {
		if byClass[labels[i]] == nil {
			names = append(names, labels[i])
		}
		byClass[labels[i]] = append(byClass[labels[i]], i)
	}
	slices.SortFunc(names, data.CompareClasses)
	for turn := 0; len(taken) < min(capacity, len(queue)); turn++ {
		for _, name := range names {
			if turn < len(byClass[name]) && len(taken) < capacity {
				taken = append(taken, byClass[name][turn])
			}
		}
	}
	return taken
}

// ranks gives each row of a task its place in the queue.
func (b *buffer) ranks(task *lesson) []uint64 {
	if b.strategy == herding {
		return herd(task)
	}
	rank := make([]uint64, len(task.labels))
	copies := uint64(0)
	word := make([]byte, 4)
	for i := range rank {
		if i > 0 && task.labels[i] == task.labels[i-1] && slices.Equal(task.row(i), task.row(i-1)) {
			copies++ // rows are sorted, so copies lie side by side; each is drawn for itself
		} else {
			copies = 0
		}
		h := fnv.New64a()
		h.Write([]byte(task.labels[i]))
		for _, v := range task.row(i) {
			binary.LittleEndian.PutUint32(word, math.Float32bits(v+0)) // −0 is 0
			h.Write(word)
		}
		rank[i] = part.Mix(h.Sum64() ^ part.Mix(b.seed+copies<<40))
	}
	return rank
}

// herd ranks the rows of each class greedily: the next one is that which brings the mean of those chosen nearest to the class's.
// Source: rebuffi2017icarl, Algorithm 4, here on features as they are.
func herd(task *lesson) []uint64 {
	rank := make([]uint64, len(task.labels))
	d := task.d
	for lo := 0; lo < len(rank); {
		hi := lo
		for hi < len(rank) && task.labels[hi] == task.labels[lo] {
			hi++
		}
		mean, sum := make([]float64, d), make([]float64, d)
		for i := lo; i < hi; i++ {
			for j, v := range task.row(i) {
				mean[j] += float64(v) / float64(hi-lo)
			}
		}
		chosen := make([]bool, hi-lo)
		miss := make([]float64, d)
		for place := range hi - lo {
			best, least := -1, math.Inf(1)
			for i := lo; i < hi; i++ {
				if chosen[i-lo] {
					continue
				}
				for j, v := range task.row(i) {
					miss[j] = mean[j] - (sum[j]+float64(v))/float64(place+1)
				}
				if e := num.SquaredNorm(miss); best < 0 || e < least {
					best, least = i, e
				}
			}
			chosen[best-lo], rank[best] = true, uint64(place)
			for j, v := range task.row(best) {
				sum[j] += float64(v)
			}
		}
		lo = hi
	}
	return rank
}

func (b *buffer) state(st *data.Checkpoint) {
	n, d := len(b.rows.labels), b.rows.d
	st.Tensors["buffer.x"] = data.Float32Tensor(b.rows.x, n, d)
	rank := make([]int64, n)
	for i, r := range b.rank {
		rank[i] = int64(r)
	}
	st.Tensors["buffer.rank"] = data.Int64Tensor(rank, n)
	st.SetStrings("buffer.labels", b.rows.labels)
}

// load reads what state wrote into a buffer for rows of d columns.
func (b *buffer) load(st *data.Checkpoint, d int) error {
	r := st.Read()
	labels := r.Strings("buffer.labels")
	b.rows = &lesson{r.Float32s("buffer.x", len(labels), d), labels, d}
	if err := r.Err(); err != nil {
		return err
	}
	rank, _, err := st.Ints("buffer.rank", len(labels))
	if err != nil {
		return err
	}
	for i, v := range rank {
		if labels[i] == "" {
			return fmt.Errorf("%w: row %d of the buffer has no class", data.ErrLabels, i+1)
		}
		b.rank = append(b.rank, uint64(v))
	}
	return nil
}
