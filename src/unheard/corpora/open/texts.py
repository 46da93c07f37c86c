"""Sentences of our own for generators that speak a language whose recordings have no transcripts.

They are in the manner of telephone prompts, as the recordings of those languages are. Each is used
in one part of the corpus only.
"""

from __future__ import annotations

__all__ = ["OWN_LINES", "SENTENCES"]

_ENGLISH = """
Please enter your account number, followed by the pound key.
The person you are calling is not available at the moment.
Your call is important to us, please stay on the line.
You have three new messages in your mailbox.
To listen to your messages, press one now.
To change your greeting, press two, then the star key.
The number you have dialed has been disconnected.
Please hold while I connect you to the next agent.
That extension is not valid, please try again.
All of our lines are busy right now, please call back later.
Thank you for calling, and have a pleasant evening.
Your message has been saved and will be sent tomorrow.
To leave a callback number, press five at any time.
The conference will begin as soon as the leader arrives.
You are currently the only person in this room.
Please say your name after the beep, then press any key.
The password you entered does not match our records.
Record your message now, and hang up when you are done.
If you know the extension of your party, dial it now.
Your new password has been accepted, thank you.
The office is closed today because of the holiday.
Our opening hours are from nine in the morning until five.
Press zero to speak with someone at the front desk.
Your reservation has been confirmed for Friday evening.
The train to the airport leaves from platform four.
There is a delay of about twenty minutes on this line.
Please have your order number ready for the operator.
We were not able to verify your identity by phone.
Say yes to continue, or say no to start again.
The caller has asked to keep the number private.
Your balance will be read to you in a moment.
A payment of forty dollars was received on Monday.
This call may be recorded to improve our service.
The line will be transferred to the night desk.
Would you like to hear these options one more time?
Your parcel is waiting at the post office on Main Street.
The meeting has been moved to the small room upstairs.
Please remain seated until the doors have opened.
You can reach the doctor on duty at the following number.
The weather tomorrow will be cloudy with some light rain.
Our new branch will open in the second week of June.
Your subscription ends in ten days, please renew it soon.
I am sorry, but I did not understand your answer.
The last bus to the harbor leaves at half past eleven.
Please leave the key with the neighbor next door.
Someone will call you back before the end of the day.
To repeat the last message, press the seven key.
The garage on the left side is full, please turn right.
Your appointment with the dentist is on Wednesday at noon.
We could not find any flight on the date you asked for.
The elevator is out of order, please use the stairs.
Your table will be ready in about a quarter of an hour.
The museum is free for children under twelve.
Please type the four digits on the back of your card.
The water will be turned off tomorrow from eight to ten.
A technician will visit your house on Thursday morning.
Call forwarding has been switched on for this phone.
You will now hear a list of the people in this call.
The recording is too short, please speak a little longer.
Your voice mail is full and cannot take more messages.
This service is not offered in your area yet.
The shop around the corner sells fresh bread and coffee.
Please wait for the tone before you begin to speak.
Your question has been passed on to the right person.
There are six callers in the line ahead of you.
The gate has changed, please walk to gate twenty one.
We are sorry for the noise, the work will end at six.
The library closes early on the first day of the month.
Turn left after the bridge and follow the river.
My brother painted the kitchen in a very bright yellow.
The cat on the roof has been there since this morning.
She put the letters back into the drawer and left.
Nobody expected the old clock to strike thirteen.
He found a silver coin under the wooden floor.
The children built a small boat out of paper and glue.
It rained so hard that the streets were empty by noon.
They walked along the beach until the sun went down.
The baker opens his window at five every morning.
A long letter arrived from a friend in the mountains.
We planted two apple trees behind the red barn.
The radio played a slow song that nobody knew.
Her uncle repairs bicycles in a shed by the lake.
The soup was too hot, so they waited a few minutes.
Every evening the fishermen come back with their boats.
He forgot his umbrella on the train to the city.
The teacher wrote a short story on the blackboard.
Our neighbor plays the violin better than he thinks.
The road through the forest is closed in the winter.
A small dog followed us all the way to the station.
The moon was bright enough to read the old map.
They counted the stars until they all fell asleep.
The gardener watered the roses before the heat came.
She learned to swim in the cold river near the mill.
The ship left the harbor without ringing its bell.
I have never seen a bird with feathers that blue.
The postman brought a parcel without any name on it.
We drank tea and talked about the summer of last year.
The door was open, but there was no one in the house.
A thin layer of ice covered the windows of the car.
His grandmother kept honey in a jar above the stove.
The market is held on the square every second Saturday.
Two small boys sold lemonade in front of the school.
The carpenter measured the table twice and cut it once.
She wore a green coat and carried a heavy basket.
The tower on the hill can be seen from every village.
After the storm, the air smelled of grass and stone.
He asked for the way and thanked us with a smile.
The old bridge was built without a single nail.
Nothing in the room had been moved since that day.
They sang the last verse twice because they liked it.
The wind turned the pages of the book on the bench.
A black horse stood quietly in the middle of the field.
""".strip().splitlines()

_SPANISH = """
Por favor, introduzca su número de cuenta y pulse almohadilla.
La persona a la que llama no está disponible en este momento.
Su llamada es muy importante, permanezca en la línea.
Usted tiene tres mensajes nuevos en su buzón de voz.
Para escuchar sus mensajes, pulse uno ahora.
El número que ha marcado ya no está en servicio.
Espere un momento mientras transferimos su llamada.
Todas nuestras líneas están ocupadas, llame más tarde.
Gracias por llamar, que tenga un buen día.
Diga su nombre después del tono y pulse cualquier tecla.
La contraseña que ha marcado no es correcta.
Grabe su mensaje ahora y cuelgue cuando haya terminado.
Hoy la oficina está cerrada por ser día festivo.
El tren al aeropuerto sale del andén número cuatro.
Su reserva está confirmada para el viernes por la noche.
La reunión se ha cambiado a la sala pequeña de arriba.
Mañana el tiempo será nublado con un poco de lluvia.
La tienda de la esquina vende pan fresco y café.
Los niños hicieron un barco pequeño con papel y cola.
Mi hermano pintó la cocina de un amarillo muy vivo.
El gato está en el tejado desde esta mañana.
Ella guardó las cartas en el cajón y se marchó.
Nadie esperaba que el viejo reloj diera las trece.
Llovió tanto que las calles quedaron vacías al mediodía.
Caminaron por la playa hasta que se puso el sol.
El panadero abre su ventana a las cinco de la mañana.
Plantamos dos manzanos detrás del granero rojo.
La radio tocaba una canción lenta que nadie conocía.
Su tío arregla bicicletas en una casa junto al lago.
La sopa estaba demasiado caliente y esperaron un poco.
Cada tarde los pescadores vuelven con sus barcos.
Olvidó su paraguas en el tren que iba a la ciudad.
El camino del bosque está cerrado durante el invierno.
Un perro pequeño nos siguió hasta la estación.
La luna brillaba tanto que se podía leer el mapa.
Contaron las estrellas hasta que se durmieron todos.
El jardinero regó las rosas antes de que llegara el calor.
Aprendió a nadar en el río frío cerca del molino.
El barco salió del puerto sin tocar la campana.
El cartero trajo un paquete que no tenía ningún nombre.
Bebimos té y hablamos del verano del año pasado.
La puerta estaba abierta, pero no había nadie en la casa.
Su abuela guardaba miel en un tarro sobre la cocina.
El mercado se celebra en la plaza cada dos sábados.
El carpintero midió la mesa dos veces y la cortó una.
La torre de la colina se ve desde todos los pueblos.
Después de la tormenta, el aire olía a hierba y piedra.
Preguntó por el camino y nos dio las gracias.
El viento pasaba las páginas del libro en el banco.
Un caballo negro estaba quieto en medio del campo.
""".strip().splitlines()

SENTENCES: dict[str, tuple[str, ...]] = {"en": tuple(_ENGLISH), "es": tuple(_SPANISH)}
"""By ISO 639-1 code."""

OWN_LINES: dict[str, list[str]] = {
    "it": [
        "Il treno per la città parte dal quarto binario.",
        "Domani il tempo sarà nuvoloso, con un po' di pioggia.",
        "La zuppa era troppo calda e hanno aspettato un poco.",
        "Un piccolo cane ci ha seguiti fino alla stazione.",
        "La nonna teneva il miele in un vaso sopra la stufa.",
        "Il vento girava le pagine del libro sulla panchina.",
    ],
    "ru": [
        "Поезд в аэропорт отправляется с четвёртой платформы.",
        "Завтра будет облачно, возможен небольшой дождь.",
        "Маленькая собака шла за нами до самой станции.",
        "Бабушка хранила мёд в банке над старой печью.",
    ],
}
"""Lines in the place of captions, for corpora that hold no text but of their own licence."""
