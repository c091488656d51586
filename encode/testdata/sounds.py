"""Log-mel bands and MFCC by librosa, and by TensorFlow's formulas, of a chirp.

    python sounds.py > sounds.json
"""
import json
import librosa, numpy as np

i = np.arange(3000.0)
x = 0.4 * np.sin(2 * np.pi * (0.01 * i + 0.00004 * i * i)) + 0.2 * np.sin(2 * np.pi * 0.31 * i) + 0.05 * np.cos(0.7 * i * i)
how = dict(y=x, sr=16000, n_fft=512, hop_length=160, win_length=400, n_mels=20, fmin=20, fmax=7600)
mel = librosa.power_to_db(librosa.feature.melspectrogram(**how), top_db=None)
htk = np.log(np.maximum(librosa.feature.melspectrogram(**{**how, "n_fft": 400}, center=False, htk=True, norm=None), 1e-6))
# TensorFlow: frames, periodic Hann window, |rfft|, triangles on the mel axis without the constant, log with an offset.
frames = np.stack([x[s:s + 400] for s in range(0, 3000 - 400 + 1, 160)])
spectrum = np.abs(np.fft.rfft(frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)), 512))
to_mel = lambda f: 1127 * np.log(1 + f / 700)
edges = np.linspace(to_mel(20), to_mel(7600), 22)
bins = to_mel(np.linspace(0, 8000, 257)[1:])[:, None]
weights = np.maximum(0, np.minimum((bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])))
tf = np.log(spectrum @ np.pad(weights, [[1, 0], [0, 0]]) + 1e-6)
r = lambda a: [round(float(v), 6) for v in a.reshape(-1)]
print(json.dumps({"made by": f"sounds.py, librosa {librosa.__version__}, NumPy {np.__version__}", "librosa logmel": r(mel.T), "librosa mfcc": r(librosa.feature.mfcc(S=mel, n_mfcc=13).T),
                  "librosa htk": r(htk), "tensorflow logmel": r(tf)}, separators=(",", ":")))
