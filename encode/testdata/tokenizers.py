"""Token numbers by the tokenizers package, for five small tokenizers trained here.

    python tokenizers.py > tokenizers.json     (run as: python -P tokenizers.py, since the file has the package's name)
"""
import json, random
import tokenizers as T
from tokenizers import Tokenizer, models, normalizers as N, pre_tokenizers as P, processors, trainers, decoders, AddedToken

corpus = ["The quick brown fox jumps over the lazy dog, and the dog doesn't mind.", "Café au lait, naïve façade; coöperate: São Paulo!", "Numbers 12345 and 3.14159, 42% of $100.",
          "ÉCOLE école 東京 日本語 テスト", "it's we're they'll I'd you've", "under_score camelCase x-y", "Ελληνικά ΣΊΣΥΦΟΣ привет мир", "ﬁ ﬂ ① ² ½ Å"] * 3
texts = corpus[:8] + ["", "   ", "  two  spaces \t tab\nnewline  ", "unseen wörds: zygomorphic!!", "İstanbul ǅ ß ẞ", "a\u0000b\u200bc\u00a0d\ufffde", "[CLS] in [MASK] text [SEP]x", "<mask> here  <mask>",
                      "e\u0301cole", "x" * 120, "🙂 emoji 👩‍👩‍👧", "12 345 6", "don't stop 'til  you're done", "日本", "tab\t\ttab", "\u3000wide", "$+<=>^`|~"]


def wordpiece(**how):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = N.BertNormalizer(**how), P.BertPreTokenizer()
    t.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=220, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t


def bytelevel(prefix):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = P.ByteLevel(add_prefix_space=prefix)
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=330, special_tokens=["<s>", "</s>"], initial_alphabet=P.ByteLevel.alphabet(), show_progress=False))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    return t


def clip():
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="", end_of_word_suffix="</w>"))
    t.normalizer = N.Sequence([N.NFC(), N.Replace(T.Regex(r"\s+"), " "), N.Lowercase()])
    t.pre_tokenizer = P.Sequence([P.Split(T.Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True), P.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=300, special_tokens=["<|startoftext|>", "<|endoftext|>"], end_of_word_suffix="</w>", show_progress=False))
    t.post_processor = processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(single="<|startoftext|> $A <|endoftext|>", special_tokens=[("<|startoftext|>", 0), ("<|endoftext|>", 1)])])
    return t


def plain():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    t.normalizer = N.Sequence([N.NFKD(), N.StripAccents(), N.Strip()])
    t.pre_tokenizer = P.Sequence([P.Whitespace(), P.Digits(individual_digits=True), P.Punctuation()])
    t.train_from_iterator(corpus[:4], trainers.BpeTrainer(vocab_size=90, special_tokens=["<unk>"], show_progress=False))
    return t


out = {"made by": "tokenizers.py, tokenizers " + T.__version__}
for name, t in (("bert uncased", wordpiece()), ("bert cased", wordpiece(lowercase=False, strip_accents=False)), ("byte-level", bytelevel(False)),
                ("byte-level with a blank", bytelevel(True)), ("clip", clip()), ("plain", plain())):
    t.enable_truncation(60)
    out[name] = {"tokenizer": json.loads(t.to_str()), "texts": [[x, t.encode(x).ids] for x in texts]}
print(json.dumps(out, ensure_ascii=False, separators=(",", ":")))
