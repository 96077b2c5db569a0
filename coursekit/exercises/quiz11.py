"""Quiz of notebook 11: the right line of each question, and what is said to each line."""

from coursekit.quiz import Question

QUIZ = {
    "11.q1": Question(
        4,
        (
            "that is ε = (a − m)/σ; divide by σ once more.",
            "that is a − m.",
            "divide by σ, do not multiply.",
            "(a − m)/σ².",
        ),
    ),
    "11.q2": Question(
        1,
        (
            "ε² − 1 with ε = ½: the action lay closer in than usual.",
            "that is ε²; 1 is subtracted.",
            "the sign: ε² − 1 is negative here.",
            "only at ε = 1, a distance of exactly σ.",
        ),
    ),
    "11.q3": Question(
        2,
        (
            "that believes the critic beyond a true end.",
            "2 − 3: after a true end there is nothing.",
            "that has no γ, and believes the critic beyond a true end.",
            "that is the reward; what was expected is subtracted.",
        ),
    ),
    "11.q4": Question(
        3,
        (
            "that is λ = 0.",
            "that is λ = 1.",
            "1 + ½ · 2.",
            "that is the mean of the two; later surprises are discounted by γλ.",
        ),
    ),
    "11.q5": Question(
        4,
        (
            "they are all 200.",
            "the baseline has taken away just that.",
            "a perfect critic leaves nothing either.",
            "no reward tells one action from another, and no reduction can.",
        ),
    ),
}
