//! What is said when something goes wrong.

pub const APOLOGY: &str = "😔 Что-то пошло не так. Деньги не списаны, а если были отложены, \
     вернутся автоматически. Попробуйте ещё раз или начните сначала: /start";

pub const SERVICE_AWAY: &str = "😔 Сервис сейчас не отвечает. Деньги не списаны, а если были \
     отложены, вернутся автоматически. Попробуйте ещё раз через минуту.";

/// The file is larger than Telegram gives to bots.
pub const FILE_TOO_LARGE: &str = "Файл больше 20 МБ. Отправьте файл поменьше.";
pub const NOT_A_PICTURE: &str = "Это не похоже на картинку. Отправьте JPEG, PNG или WebP.";
pub const PICTURE_DIMENSIONS: &str =
    "Картинка слишком большая: можно до 50 мегапикселей и до 16 000 точек по стороне.";
pub const DOWNLOAD_FAILED: &str =
    "Не получилось загрузить фото из Telegram. Отправьте его ещё раз.";
pub const PHOTO_LOST: &str = "Фото потерялось. Начните сначала: /start";
pub const BUSY: &str = "Сейчас слишком много работы. Отправьте ещё раз через минуту.";
